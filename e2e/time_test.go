package e2e

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"mfa/internal/app"
	"mfa/internal/config"
)

// A clock runs with the machine's, and is moved by tests.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration // guarded by mu
	doubt bool          // guarded by mu; whether no time service vouches for it
}

// trusted says whether a time service vouches for the clock.
func (c *clock) trusted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.doubt
}

func (c *clock) trust(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubt = !is
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// readyInProcess is ready with the daemon in this process, on a clock of ours.
func readyInProcess(t *testing.T) (*site, account, *clock) {
	t.Helper()
	s, c := inProcess(t)
	return s, s.newUser("alice"), c
}

// inProcess makes a site with password and code for sshd, sshd running, and the
// daemon in this process, on a clock of ours.
func inProcess(t testing.TB, settings ...string) (*site, *clock) {
	t.Helper()
	s, c := daemonInProcess(t, settings...)
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	return s, c
}

// daemonInProcess makes a site with nothing but the daemon, in this process and
// on a clock of ours.
func daemonInProcess(t testing.TB, settings ...string) (*site, *clock) {
	t.Helper()
	s, c := newSite(t), &clock{}
	s.set(settings...)
	cfg, err := config.Load(s.writeConfig())
	ok(t, err)
	s.log = &record{}
	started := make(chan struct{})
	a, err := app.New(cfg, app.Options{
		Log: slog.New(slog.NewTextHandler(s.log, nil)),
		Now: c.now, Trusted: c.trusted, Ready: func() { close(started) },
	})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		show(t, "log of the daemon in this process", s.log)
	})
	select {
	case <-started:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return s, c
}

func TestReconnectAfterLoginGraceTimeFindsTheCode(t *testing.T) {
	s, alice, clock := readyInProcess(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	c.close()
	clock.pass(130 * time.Second)
	c = s.ssh(alice)
	c.toCode(s, alice)
	c.send(code)
	c.expectIn(t)
	s.expectLetters(alice, 1)
}

func TestExpiredCode(t *testing.T) {
	s, alice, clock := readyInProcess(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	clock.pass(10*time.Minute + time.Second)
	c.send(code)
	c.expect(t, `expired[^\0]*Code[^\n]*: $`)
	s.expectFailures(alice, 0)
	c.send("r")
	c.expect(t, `Code[^\n]*: $`)
	c.send(s.code(alice, 2))
	c.expectIn(t)
}

func TestLockEndsByItself(t *testing.T) {
	s, alice, clock := readyInProcess(t)
	lock(t, s, alice)
	expectLocked(t, s, alice)
	clock.pass(15*time.Minute + time.Second)
	s.login(alice, 2)
}

func TestOldFailuresDoNotLock(t *testing.T) {
	s, alice, clock := readyInProcess(t)
	for n := range 2 {
		c := s.ssh(alice)
		c.toCode(s, alice)
		bad := wrong(s.code(alice, n+1))
		for range 2 {
			c.send(bad)
			c.expect(t, `not right[^\0]*Code[^\n]*: $`)
		}
		c.send(bad)
		c.expectOut(t)
		clock.pass(15*time.Minute + time.Second)
	}
	s.login(alice, 3)
	s.expectFailures(alice, 6)
}
