package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// A world is a folder with a daemon and what it needs. The folder disk in it is the one that
// is looked at: the store, the key and the audit file.
type world struct {
	dir      string
	programs string // the folder of mfad and mfactl
	settings []string
	rec      *recording // nil: nobody looks

	killAt int // the operation before which the daemon is killed; 0: none

	owners map[string]*owner

	pid  int
	done chan ending // of the daemon that runs; nil: none
}

// An ending is how a daemon ended.
type ending struct {
	status unix.WaitStatus
	err    error
}

// errGone ends a scenario whose daemon was killed.
var errGone = errors.New("the daemon is gone")

// patience is how long something that hangs holds up the run.
const patience = 20 * time.Second

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// config writes mfa.toml and returns its path.
func (w *world) config() (string, error) {
	for _, dir := range []string{"run", "disk"} {
		if err := os.MkdirAll(w.path(dir), 0o700); err != nil {
			return "", err
		}
	}
	lines := []string{
		"server.pam_socket = '" + w.path("run/pam.sock") + "'", "server.control_socket = '" + w.path("run/control.sock") + "'",
		"store.path = '" + w.path("disk/store") + "'", "secrets.key_file = '" + w.path("disk/key") + "'",
		"audit.file = '" + w.path("disk/audit/audit.jsonl") + "'",
		"email.transport = 'outbox'", "email.outbox.path = '" + w.path("outbox") + "'", "email.from = 'mfa@example.com'",
		"log.level = 'warn'",
	}
	lines = append(lines, w.settings...)
	name := w.path("mfa.toml")
	return name, os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// must ends a scenario that cannot go on.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// start starts the daemon, traced if somebody looks, and returns when it is ready.
func (w *world) start() {
	config, err := w.config()
	must(err)
	name := w.path("notify")
	_ = os.Remove(name)
	notify, err := net.ListenPacket("unixgram", name)
	must(err)
	defer notify.Close()
	w.run("NOTIFY_SOCKET="+name, "--config", config)
	go func(done chan ending) { // a daemon that ends is not waited for
		e := <-done
		done <- e
		_ = notify.SetReadDeadline(time.Now())
	}(w.done)
	must(notify.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 4096)
	for {
		n, _, err := notify.ReadFrom(buf)
		if err != nil {
			panic(fmt.Errorf("%w before it was ready: %w\n%s", errGone, err, w.log()))
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return
		}
	}
}

// log returns what the daemon said.
func (w *world) log() string {
	text, _ := os.ReadFile(w.path("log"))
	return string(text)
}

// run starts mfad with some arguments.
func (w *world) run(env string, args ...string) {
	out, err := os.OpenFile(w.path("log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(err)
	defer out.Close()
	w.done = make(chan ending, 1)
	mfad := filepath.Join(w.programs, "mfad")
	if w.rec == nil {
		cmd := exec.Command(mfad, args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env), out, out
		must(cmd.Start())
		w.pid = cmd.Process.Pid
		go func() { e := ending{err: cmd.Wait()}; w.done <- e }()
		return
	}
	begun := make(chan error, 1)
	t := &tracer{rec: w.rec, disk: w.path("disk"), mail: w.path("outbox/new"), killAt: w.killAt, env: env}
	go func() {
		status, err := t.run(mfad, args, out, func(pid int, err error) { w.pid = pid; begun <- err })
		w.done <- ending{status, err}
	}()
	must(<-begun)
}

// end waits until the daemon ended, however it did.
func (w *world) end() ending {
	select {
	case e := <-w.done:
		w.done = nil
		return e
	case <-time.After(patience):
		panic(errors.New("the daemon does not end"))
	}
}

// stop stops the daemon as systemd does.
func (w *world) stop() {
	_ = unix.Kill(w.pid, unix.SIGTERM) // it may be gone
	e := w.end()
	must(e.err)
	if w.rec != nil && e.status.Signaled() {
		panic(errGone)
	}
	if w.rec != nil && e.status.ExitStatus() != 0 {
		panic(fmt.Errorf("the daemon ended with status %d:\n%s", e.status.ExitStatus(), w.log()))
	}
}

// kill ends a daemon that may run.
func (w *world) kill() {
	if w.done != nil {
		_ = unix.Kill(w.pid, unix.SIGKILL)
		w.end()
	}
}

// A visit is a login.
type visit struct{ user, service, from string }

// login goes through a login. Heard is called with each prompt before it is answered.
func (w *world) login(v visit, p *wiretest.Person, heard func(text string)) (mfa.Outcome, error) {
	c, err := net.Dial("unix", w.path("run/pam.sock"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errGone, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if heard == nil {
		heard = func(string) {}
	}
	hello := wiretest.Hello(mfa.Request{Service: v.service, User: v.user, RHost: v.from})
	outcome, err := wiretest.Talk(c, hello, heard, func(prompt string) *wire.Frame {
		if line, stays := p.Answer(prompt); stays {
			return wiretest.Line(line)
		}
		return nil
	})
	switch {
	case errors.Is(err, wiretest.ErrLeft):
		return mfa.NoConversation, nil
	case err != nil && !errors.Is(err, wire.ErrFrame):
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	return outcome, err
}

// mfactl runs the command line and returns what it said.
func (w *world) mfactl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.programs, "mfactl"), append([]string{"--socket", w.path("run/control.sock")}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("mfactl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

var (
	codeLine     = regexp.MustCompile(`(?m)^Your code: (\d+)\r?$`)
	recoveryLine = regexp.MustCompile(`(?m)^Recovery code: ([2-9a-y]{4}(?:-[2-9a-y]{4}){3})\r?$`)
	backupLine   = regexp.MustCompile(`[2-9a-y]{4}(?:-[2-9a-y]{4}){3}`)
	secretLine   = regexp.MustCompile(`secret=([A-Z2-7]+)`)
)

// mails returns what a pattern finds in the mails to an address, in the order of sending.
func (w *world) mails(to string, pattern *regexp.Regexp) (found []string, err error) {
	entries, err := os.ReadDir(w.path("outbox/new"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	type letter struct {
		at   time.Time
		text string
	}
	var letters []letter
	for _, e := range entries {
		f, err := os.Open(w.path("outbox/new/" + e.Name()))
		if err != nil {
			return nil, err
		}
		m, err := mail.ReadMessage(f)
		if err == nil && strings.Contains(m.Header.Get("To"), to) {
			body := new(strings.Builder)
			_, err = io.Copy(body, quotedprintable.NewReader(m.Body))
			info, err2 := f.Stat()
			if err = errors.Join(err, err2); err == nil {
				letters = append(letters, letter{info.ModTime(), body.String()})
			}
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(letters, func(a, b letter) int { return a.at.Compare(b.at) })
	for _, l := range letters {
		if m := pattern.FindStringSubmatch(l.text); m != nil {
			found = append(found, m[1])
		}
	}
	return found, nil
}

// mail waits for the nth code to an address.
func (w *world) mail(to string, pattern *regexp.Regexp, n int) string {
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found, err := w.mails(to, pattern)
		must(err)
		if len(found) >= n {
			return found[n-1]
		}
		w.alive()
		if time.Now().After(late) {
			panic(fmt.Errorf("mail %d to %s never came", n, to))
		}
	}
}
