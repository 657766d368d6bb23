package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/app"
	"mfa/internal/audit/audittest"
	"mfa/internal/config"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// A daemon is mfad within the test. Callers are processes of their own, so it
// sees their real credentials.
type daemon struct {
	t     testing.TB
	cfg   config.Config
	log   *slog.Logger
	app   *app.App // nil: it does not run
	end   context.CancelFunc
	done  chan error                    // what Run said
	typed []string                      // mails whose code was typed
	next  atomic.Pointer[config.Config] // what a reload reads; nil: cfg
}

// daemonConfig is mfa.toml, but for the paths.
const daemonConfig = `
[email]
transport = "outbox"
[email.outbox]
path = "/nowhere"
[lockout]
failures = 2
[[policy.rule]]
name = "break-glass"
users = ["games"]
first_factor = "publickey"
mode = "off"
[[policy.rule]]
groups = ["games", "no-such-group-here"]
remember = "never"
enroll_at_login = false
`

// newDaemon configures one with its sockets in run and all else in work.
func newDaemon(t testing.TB, run, work string) *daemon {
	cfg, err := config.Parse("mfa.toml", []byte(daemonConfig))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Server.PAMSocket = filepath.Join(run, "pam.sock")
	cfg.Server.ControlSocket = filepath.Join(run, "control.sock")
	cfg.Store.Path = filepath.Join(work, "store")
	cfg.Secrets.KeyFile = filepath.Join(work, "key")
	cfg.Audit.File = filepath.Join(work, "audit.jsonl")
	cfg.Email.Outbox.Path = filepath.Join(work, "outbox")
	return &daemon{t: t, cfg: cfg, log: slog.New(slog.NewTextHandler(testLog{t}, nil))}
}

// testLog is a log that shows with the test.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

// start returns when the sockets are open.
func (d *daemon) start() error {
	if d.app != nil {
		return errors.New("the daemon runs already")
	}
	ready := make(chan struct{})
	a, err := app.New(d.cfg, app.Options{Log: d.log, Ready: func() { close(ready) }, Load: func() (config.Config, error) {
		if next := d.next.Load(); next != nil {
			return *next, nil
		}
		return d.cfg, nil
	}})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	d.app, d.end, d.done = a, end, make(chan error, 1)
	go func() { d.done <- a.Run(ctx) }()
	select {
	case <-ready:
		return nil
	case err := <-d.done:
		d.done <- err
		return errors.Join(errors.New("the daemon ended at once"), d.stop())
	}
}

// stop ends the daemon, if it runs, and waits for its end.
func (d *daemon) stop() error {
	if d.app == nil {
		return nil
	}
	d.end()
	err := errors.Join(<-d.done, d.app.Close())
	d.app = nil
	audittest.Check(d.t, d.cfg.Audit.File)
	return err
}

// login holds a login of sshd and writes down what the user sees and how it
// ends. When the answers are used up the client goes away.
func (d *daemon) login(w io.Writer, name string, answers []string) error {
	c, err := net.Dial("unix", d.cfg.Server.PAMSocket)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if err := wire.Write(c, wiretest.Hello(mfa.Request{Service: "sshd", User: name, RHost: "192.0.2.1"})); err != nil {
		return err
	}
	for {
		f, err := wire.Read(c)
		if err != nil {
			return err
		}
		switch f.Type {
		case wire.Info, wire.Failure:
			fmt.Fprintf(w, "%s\n", f.Payload)
			continue
		case wire.Done:
			fmt.Fprintf(w, "done: %c\n", f.Payload[0])
			return nil
		}
		fmt.Fprintf(w, "%s\n", f.Payload[1:])
		if len(answers) == 0 {
			return nil
		}
		answer := answers[0]
		answers = answers[1:]
		switch answer {
		case "the-code":
			if answer, err = d.lastCode(); err != nil {
				return err
			}
		case "wrong":
			answer = "000000" // what cannot be a code is no attempt
		}
		if err := wire.Write(c, wire.Frame{Type: wire.Answer, Payload: []byte(answer)}); err != nil {
			return err
		}
	}
}

var codeLine = regexp.MustCompile(`(?m)^Your code: (\d+)$`)

// lastCode waits for a mail with a code that was not typed yet and returns the
// newest: mails arrive when they do, and an older one may be there before.
func (d *daemon) lastCode() (string, error) {
	for n := 1; ; n++ {
		mails := delivertest.WaitMaildir(d.t, d.cfg.Email.Outbox.Path, n)
		for _, mail := range slices.Backward(mails) {
			if m := codeLine.FindStringSubmatch(mail.Text); m != nil && !slices.Contains(d.typed, mail.Raw) {
				d.typed = append(d.typed, mail.Raw)
				return m[1], nil
			}
		}
		n = len(mails)
	}
}

// silentDaemon accepts at path and never answers.
func silentDaemon(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); _ = os.Remove(path) })
}
