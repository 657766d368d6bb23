package contacts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mfa/internal/account"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// A command runs a program, with the user among its arguments. It runs without a shell,
// with next to no environment, in a process group of its own.
type command struct {
	path    string
	args    []fieldTemplate
	timeout time.Duration
}

func newCommand(cfg account.ContactsCommandConfig) (*command, error) {
	if !filepath.IsAbs(cfg.Path) {
		return nil, fmt.Errorf("contacts.command.path: %q is not an absolute path", cfg.Path)
	}
	c := &command{path: cfg.Path, timeout: time.Duration(cfg.Timeout)}
	args := cfg.Args
	if len(args) == 0 {
		args = []string{"{{.User}}"}
	}
	named := errors.New("contacts.command.args: the user is in none of them; write {{.User}} where the name shall stand")
	for _, arg := range args {
		t, err := parseFields("contacts.command.args", arg)
		if err == nil {
			_, err = t.text(mfa.Identity{Name: "alice"}, asIs)
		}
		if err != nil {
			return nil, err
		}
		if t.rehearse() == nil {
			named = nil
		}
		c.args = append(c.args, t)
	}
	return c, named
}

func asIs(s string) string { return s }

const (
	// maxSaid bounds what a program says, in bytes.
	maxSaid = 4 << 10
	// commandGrace is how long its output may stay open after it ended or was told to.
	commandGrace = time.Second
)

// A bounded keeps what is written to it, up to maxSaid, and whether there was more.
type bounded struct {
	text []byte
	over bool
}

// Write implements io.Writer. It takes everything.
func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), maxSaid-len(b.text))
	b.text, b.over = append(b.text, p[:room]...), b.over || room < len(p)
	return len(p), nil
}

// look implements source.
func (c *command) look(ctx context.Context, id mfa.Identity) (values, error) {
	if strings.HasPrefix(id.Name, "-") {
		return values{}, errors.New("a name that begins with - would be an option of the program")
	}
	var args []string
	for _, t := range c.args {
		arg, err := t.text(id, asIs)
		if err != nil {
			return values{}, err
		}
		args = append(args, arg)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("not done within contacts.command.timeout, %v", c.timeout))
	defer cancel()
	var said bounded
	var errs carrier.Head
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = &said, &errs
	cmd.WaitDelay = commandGrace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		return values{}, c.failed(ctx, err, errs.String())
	}
	if said.over {
		return values{}, fmt.Errorf("%q says more than %d bytes", c.path, maxSaid)
	}
	v, err := readSaid(said.text)
	if err != nil {
		return values{}, fmt.Errorf("what %q says: %w", c.path, err)
	}
	return v, nil
}

// failed says how the program ended. That it did not is no word about one user.
func (c *command) failed(ctx context.Context, err error, said string) error {
	if ctx.Err() != nil {
		return down{fmt.Errorf("run %q: %w", c.path, context.Cause(ctx))}
	}
	err = fmt.Errorf("run %q: %w", c.path, err)
	if words := carrier.Quote(said, nil); words != "" {
		err = fmt.Errorf("%w: %s", err, words)
	}
	return err
}

// readSaid reads what a program says: a JSON object or lines of KEY=VALUE, with the keys
// email and phone, each once at most. Nothing at all is an answer: the user has neither.
func readSaid(text []byte) (v values, err error) {
	read := readLines
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		read = readObject
	}
	seen := map[string]bool{}
	err = read(text, func(key, value string) error {
		if seen[key] {
			return fmt.Errorf("%w: %q twice", account.ErrTwoEntries, key)
		}
		seen[key] = true
		switch {
		case key == "email" && value != "":
			v.emails = []string{value}
		case key == "phone" && value != "":
			v.phones = []string{value}
		case key != "email" && key != "phone":
			return fmt.Errorf("unknown key %.40q: the keys are email and phone", key)
		}
		return nil
	})
	if err != nil {
		return values{}, err
	}
	return v, nil
}

func readLines(text []byte, take func(key, value string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		key, value, is := strings.Cut(line, "=")
		if !is {
			return errors.New("a line that is not KEY=VALUE")
		}
		if err := take(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// readObject reads token by token: encoding/json takes the last of two equal keys.
func readObject(text []byte, take func(key, value string) error) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value *string
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("the value of %.40q: %w", fmt.Sprint(key), err)
		}
		if value == nil {
			value = new(string)
		}
		if err := take(fmt.Sprint(key), *value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON object")
	}
	return nil
}
