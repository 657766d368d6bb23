package sms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// An smsCommand hands texts to a program, with the number among its arguments
// and the text on its standard input: arguments show in ps(1). It runs without a
// shell, with next to no environment, in a process group of its own.
type smsCommand struct {
	path    string
	args    []*template.Template
	timeout time.Duration
	log     *slog.Logger
}

// commandFields are the fields of the templates in sms.command.args.
type commandFields struct{ To, Digits string }

func newSMSCommand(cfg deliver.SMSCommandConfig, opts Options) (*smsCommand, error) {
	if !filepath.IsAbs(cfg.Path) {
		return nil, fmt.Errorf("sms.command.path: %q is not an absolute path", cfg.Path)
	}
	if err := deliver.CheckTimeout("sms.command.timeout", cfg.Timeout); err != nil {
		return nil, err
	}
	c := &smsCommand{path: cfg.Path, timeout: time.Duration(cfg.Timeout), log: opts.Log}
	args := cfg.Args
	if len(args) == 0 {
		args = []string{"{{.To}}"}
	}
	for _, arg := range args {
		t, err := template.New("argument").Parse(arg)
		if err != nil {
			return nil, fmt.Errorf("sms.command.args: %q is no template: %w", arg, err)
		}
		c.args = append(c.args, t)
	}
	return c, c.rehearse()
}

// rehearse fills the arguments in with two numbers, to find at load what is wrong with
// them.
func (c *smsCommand) rehearse() error {
	first, err := c.arguments(deliver.PhoneExample)
	if err != nil {
		return err
	}
	if again, err := c.arguments("+441632960001"); err != nil || slices.Equal(first, again) {
		return errors.New("sms.command.args: the number is in none of them; write {{.To}} where it shall stand")
	}
	return nil
}

func (c *smsCommand) arguments(to string) ([]string, error) {
	args := make([]string, len(c.args))
	for i, t := range c.args {
		var b strings.Builder
		if err := t.Execute(&b, commandFields{To: to, Digits: strings.TrimPrefix(to, "+")}); err != nil {
			return nil, fmt.Errorf("sms.command.args: may use {{.To}} and {{.Digits}}; the message comes on standard input: %w", err)
		}
		args[i] = b.String()
	}
	return args, nil
}

func (*smsCommand) close() {}

// commandGrace is how long the program's standard error may stay open after it
// ended or was told to.
const commandGrace = time.Second

func (c *smsCommand) text(ctx context.Context, m mfa.Message) (receipt string, err error) {
	args, err := c.arguments(m.To)
	if err != nil {
		return "", deliver.Misconfigured(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("not done within %v", c.timeout))
	defer cancel()
	var said carrier.Head
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdin = strings.NewReader(m.Text)
	cmd.Stderr = &said
	cmd.WaitDelay = commandGrace
	// Processes that the program started end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	words := quoteAnswer(said.String(), m)
	defer func() { carrier.StepsOf(ctx).Done(carrier.StepRun, c.path, err) }()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		if words != "" {
			c.log.Info("the sms command says something", "message", m.ID, "stderr", words)
		}
		return "", nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		if cmd.Process != nil { // it ran, and may have sent before it was ended
			err = deliver.Uncertain(err)
		}
	}
	return "", deliver.Hinted(c.explain(err, words), carrier.HintProgram("sms.command.path")+hintService)
}

// explain turns the end of the program into an error for the log. Another run may succeed
// only after EX_TEMPFAIL of sysexits.h, or if the program did not end by itself.
func (c *smsCommand) explain(err error, said string) error {
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
	exit, ended := errors.AsType[*exec.ExitError](err)
	err = fmt.Errorf("run sms command %q: %w", c.path, err)
	if said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	switch {
	case missing:
		return deliver.Misconfigured(err)
	case ended && exit.Exited() && exit.ExitCode() != carrier.ExitTempFail:
		return deliver.Permanent(err)
	}
	return err
}

// hintService is a hint about the sandbox of mfad's programs.
const hintService = " Under systemd it runs as the user mfa with a /tmp of its own, without devices and without /home:" +
	" a modem needs DeviceAllow=, PrivateDevices=no and SupplementaryGroups=dialout in mfad.service (systemctl edit mfad; mfa.toml(5) has the lines)."
