package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/audit/audittest"
	"mfa/internal/config"
	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// patience is how long a broken daemon holds up its test; a good one does not.
const patience = 30 * time.Second

// goodConfig reaches nothing outside of dir.
func goodConfig(dir string) config.Config {
	cfg := config.Default()
	cfg.Server.PAMSocket = filepath.Join(dir, "run", "pam.sock")
	cfg.Server.ControlSocket = filepath.Join(dir, "run", "control.sock")
	cfg.Store.Path = filepath.Join(dir, "store")
	cfg.Secrets.KeyFile = filepath.Join(dir, "key")
	cfg.Audit.File = filepath.Join(dir, "audit.jsonl")
	cfg.Email.Transport = deliver.TransportOutbox
	cfg.Email.Outbox.Path = filepath.Join(dir, "outbox")
	cfg.Code.ResendAfter = 0
	return cfg
}

// shortDir is a t.TempDir whose name leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A logbook is a log that a test can read.
type logbook struct {
	t  *testing.T
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("%s", p)
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// A running is an App that runs, with the user of the test enrolled.
type running struct {
	*App
	t      *testing.T
	cfg    config.Config
	user   string
	log    *logbook
	states chan string // what it tells systemd
	end    context.CancelFunc
	done   chan error
}

// Reload has the App take a configuration that no file holds.
func (r *running) Reload(cfg config.Config) error {
	_, err := r.reloadAndTell(cfg)
	return err
}

// run starts an App and waits for its sockets. It ends with the test.
func run(t *testing.T, cfg config.Config, change ...func(*Options)) *running {
	t.Helper()
	r := &running{t: t, cfg: cfg, log: &logbook{t: t}, states: make(chan string, 1000), done: make(chan error, 1)}
	opts := Options{
		Log: r.log.logger(), Notify: func(state string) { r.states <- state },
	}
	for _, c := range change {
		c(&opts)
	}
	a, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	r.App = a
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	r.user = me.Username
	id, err := nss.Lookup(t.Context(), r.user)
	if err == nil {
		err = a.cur.Load().enroll.SetContact(t.Context(), id, mfa.Email, "me@example.com", "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	r.end = end
	go func() {
		defer close(r.states)
		r.done <- a.Run(ctx)
	}()
	t.Cleanup(func() {
		end()
		for range r.states { // until Run returned
		}
		if err := errors.Join(<-r.done, a.Close()); err != nil {
			t.Errorf("end: %v", err)
		}
		if cfg.Audit.File != "" {
			audittest.Check(t, cfg.Audit.File)
		}
	})
	r.await("READY=1")
	return r
}

// await waits until systemd was told state.
func (r *running) await(state string) {
	r.t.Helper()
	late := time.After(patience)
	for {
		select {
		case got, ok := <-r.states:
			if !ok {
				err := <-r.done
				r.done <- err
				r.t.Fatalf("ended before %q: %v", state, err)
			}
			if got == state {
				return
			}
		case <-late:
			r.t.Fatalf("systemd was never told %q", state)
		}
	}
}

// A module is the client of the PAM socket.
type module struct {
	t *testing.T
	c net.Conn
}

// dial begins a login of the user.
func (r *running) dial() *module { return r.dialAt("") }

// dialAt is dial at a terminal.
func (r *running) dialAt(tty string) *module {
	r.t.Helper()
	c, err := net.Dial("unix", r.cfg.Server.PAMSocket)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	m := &module{r.t, c}
	_ = wire.Write(c, wiretest.Hello(mfa.Request{Service: "sudo", User: r.user, TTY: tty})) // whoever is turned away may be so before
	return m
}

func (m *module) send(f wire.Frame) {
	m.t.Helper()
	if err := wire.Write(m.c, f); err != nil {
		m.t.Fatal(err)
	}
}

func (m *module) answer(line string) {
	m.t.Helper()
	m.send(wire.Frame{Type: wire.Answer, Payload: []byte(line)})
}

// expect reads the next frame: its type, and text that is in it.
func (m *module) expect(kind byte, text string) {
	m.t.Helper()
	f, err := wire.Read(m.c)
	if err != nil || f.Type != kind || !strings.Contains(string(f.Payload), text) {
		m.t.Fatalf("frame %c %q, %v; want %c %q", f.Type, f.Payload, err, kind, text)
	}
}

// code returns the code in the nth mail (1: first) of an outbox, which is called so in another
// language than English.
func code(t *testing.T, outbox string, n int, called ...string) string {
	t.Helper()
	m := delivertest.WaitMaildir(t, outbox, n)[n-1]
	line := regexp.MustCompile(`(?m)^` + strings.Join(append(called, "Your code")[:1], "") + `: (\d+)$`)
	found := line.FindStringSubmatch(m.Text)
	if found == nil {
		t.Fatalf("no code in %q", m.Raw)
	}
	return found[1]
}

func TestLogin(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	m := r.dial()
	m.expect(wire.Prompt, " to m***e@example.com")
	m.answer(code(t, r.cfg.Email.Outbox.Path, 1))
	m.expect(wire.Done, "s")
}

func TestStatus(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Server.MaxLogins = 9
	r := run(t, cfg)
	r.dial().expect(wire.Prompt, "Code: ")
	st := r.status(t.Context())
	if st.Version != mfa.Version || st.PID != os.Getpid() || st.Started.IsZero() || st.Mode != login.ModeRequired ||
		st.Email != deliver.TransportOutbox || st.Store != cfg.Store.Path || !st.StoreOK || st.Problem != "" ||
		st.Users != 1 || st.Logins != 1 || st.MaxLogins != 9 {
		t.Errorf("status %+v", st)
	}
	if err := os.Remove(filepath.Join(cfg.Store.Path, "state.db")); err != nil {
		t.Fatal(err)
	}
	if st = r.status(t.Context()); st.StoreOK || !strings.Contains(st.Problem, "state.db") {
		t.Errorf("status of a broken store: %+v", st)
	}
}

// A stop closes the door, and lets those inside finish.
func TestStopLetsLoginsEnd(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	m := r.dial()
	m.expect(wire.Prompt, "Code: ")
	r.end()
	r.await("STOPPING=1")
	m.answer("990099")
	m.expect(wire.Prompt, "That code is not right.")
	m.answer(code(t, r.cfg.Email.Outbox.Path, 1))
	m.expect(wire.Done, "s")
	for range r.states { // until Run returned
	}
	if err := <-r.done; err != nil {
		t.Errorf("run: %v", err)
	}
	r.done <- nil
	if c, err := net.Dial("unix", r.cfg.Server.PAMSocket); err == nil {
		_ = c.Close()
		t.Error("a login got in after the stop")
	}
}

// Being killed by the watchdog would mend no disk.
func TestWatchdogOutlivesTheStore(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)), func(o *Options) { o.Watchdog = 20 * time.Millisecond })
	r.await("WATCHDOG=1")
	if s := r.log.String(); strings.Contains(s, "store cannot be used") {
		t.Errorf("a good store is complained of: %s", s)
	}
	if err := os.Remove(filepath.Join(r.cfg.Store.Path, "state.db")); err != nil {
		t.Fatal(err)
	}
	r.await("WATCHDOG=1")
	r.await("WATCHDOG=1") // this one looked after the removal
	if s := r.log.String(); !strings.Contains(s, "store cannot be used") {
		t.Errorf("a broken store is not complained of: %s", s)
	}
}

func TestSocketInUse(t *testing.T) {
	dir := shortDir(t)
	first := run(t, goodConfig(dir))
	cfg := goodConfig(shortDir(t))
	cfg.Server.ControlSocket = first.cfg.Server.ControlSocket
	log := &logbook{t: t}
	a, err := New(cfg, Options{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another daemon answers there") {
		t.Errorf("run: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(cfg.Server.PAMSocket); err == nil {
		t.Error("the PAM socket was left behind")
	}
}
