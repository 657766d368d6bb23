package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
)

// sendmail hands letters to a program with the command line of sendmail(8),
// as every mail system has one. The program runs without a shell and with next
// to no environment.
type sendmail struct{ path string }

// sendmailTimeout bounds one run; handing over to a local queue takes far less.
const sendmailTimeout = 30 * time.Second

// sendmailGrace is how long the program's standard error may stay open after it
// ended: mail systems deliver in the background and pass it on.
const sendmailGrace = time.Second

func (s sendmail) send(ctx context.Context, l letter) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sendmailTimeout,
		fmt.Errorf("not done within %v", sendmailTimeout))
	defer cancel()
	var said carrier.Head
	cmd := exec.CommandContext(ctx, s.path, "-i", "-f", bare(l.from), "--", bare(l.to))
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	// Unix programs read lines that end with LF; some store a CR they are given.
	cmd.Stdin = bytes.NewReader(bytes.ReplaceAll(l.data, []byte("\r\n"), []byte("\n")))
	cmd.Stderr = &said
	cmd.WaitDelay = sendmailGrace
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		s.tell(ctx, l, nil)
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	err = s.explain(err, l.quote(said.String()))
	s.tell(ctx, l, err)
	return deliver.Hinted(err, carrier.HintProgram("email.sendmail.path"))
}

// tell reports how the run went.
func (s sendmail) tell(ctx context.Context, l letter, err error) {
	rep := carrier.StepsOf(ctx)
	if rep == nil {
		return
	}
	rep.Done(carrier.StepRun, fmt.Sprintf("%s -i -f %s -- %s", s.path, bare(l.from), deliver.Mask(l.to.Address)), err)
	if err == nil {
		rep.Done(carrier.StepAccepted, "by the local mail system, which has a queue and a log of its own", nil)
	}
}

func (sendmail) close() error { return nil }

func (s sendmail) explain(err error, said string) error {
	final := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		final = exit.Exited() && !mayPass(exit.ExitCode())
	}
	err = fmt.Errorf("run sendmail %q: %w", s.path, err)
	if said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	if final {
		return deliver.Permanent(err)
	}
	return err
}

// mayPass reports whether another run can succeed after this exit code.
func mayPass(code int) bool {
	return code == carrier.ExitOSErr || code == carrier.ExitIOErr || code == carrier.ExitTempFail
}
