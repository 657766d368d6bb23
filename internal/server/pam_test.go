package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// loginFunc is a Loginer in a test.
type loginFunc func(context.Context, mfa.Request, login.Prompter) (mfa.Verdict, error)

func (f loginFunc) Login(ctx context.Context, req mfa.Request, p login.Prompter) (mfa.Verdict, error) {
	return f(ctx, req, p)
}

func (loginFunc) Endings(context.Context, mfa.Request) []mfa.Ending {
	return []mfa.Ending{{Word: "email"}, mfa.Digits(6)}
}

// serve runs a PAM server around f and returns its socket and how to stop it.
func serve(t *testing.T, f loginFunc, change ...func(*PAM)) (path string, s *PAM, stop context.CancelCauseFunc) {
	t.Helper()
	s = &PAM{
		Logins: func() Loginer { return f }, MaxLogins: 10, Timeout: time.Minute,
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	for _, c := range change {
		c(s)
	}
	path = filepath.Join(t.TempDir(), "pam.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cancel(nil)
		wg.Wait()
	})
	return path, s, cancel
}

// testWriter is a log that shows with the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// dial connects and says hello.
func dial(t *testing.T, path string, req mfa.Request) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	send(t, c, wiretest.Hello(req))
	return c
}

func send(t *testing.T, c *net.UnixConn, f wire.Frame) {
	t.Helper()
	if err := wire.Write(c, f); err != nil {
		t.Fatal(err)
	}
}

// expect reads a frame that has type typ and text in it.
func expect(t *testing.T, c *net.UnixConn, typ byte, text string) {
	t.Helper()
	f, err := wire.Read(c)
	if err != nil || f.Type != typ || !strings.Contains(string(f.Payload), text) {
		t.Fatalf("frame %q %q, %v; want %q %q", f.Type, f.Payload, err, typ, text)
	}
}

func TestConversation(t *testing.T) {
	path, _, _ := serve(t, func(ctx context.Context, req mfa.Request, p login.Prompter) (mfa.Verdict, error) {
		if req.User != "alice" || req.RHost != "192.0.2.1" || req.UID != uint32(os.Geteuid()) {
			t.Errorf("request %+v", req)
		}
		_, _ = p.Prompt(ctx, mfa.Prompt{Kind: mfa.Info, Text: "wel\x1bcome\u009b\nuser"})
		answer, err := p.Prompt(ctx, mfa.Prompt{Kind: mfa.AskHidden, Text: "Code: "})
		if answer != "123 456" || err != nil {
			t.Errorf("answer %q, %v", answer, err)
		}
		_, err = p.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Again: "})
		if !errors.Is(err, mfa.ErrPasswordTyped) {
			t.Errorf("error %v", err)
		}
		_, err = p.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Once more: "})
		if !errors.Is(err, mfa.Withheld(6)) {
			t.Errorf("error %v", err)
		}
		return mfa.Verdict{Outcome: mfa.Accepted}, nil
	})
	c := dial(t, path, mfa.Request{User: "alice", RHost: "192.0.2.1"})
	expect(t, c, wire.Info, "welcome\nuser")
	expect(t, c, wire.Prompt, "hCode: ")
	send(t, c, wire.Frame{Type: wire.Answer, Payload: []byte(" 123 456\x7f\r\n")})
	expect(t, c, wire.Prompt, "vAgain: ")
	send(t, c, wire.Frame{Type: wire.NoAnswer, Payload: []byte{wire.PasswordTyped}})
	expect(t, c, wire.Prompt, "vOnce more: ")
	send(t, c, wire.Frame{Type: wire.Answer, Payload: []byte("\b\n\r\x7fIN")})
	expect(t, c, wire.Done, "s\x00")
}

func TestClientGoneEndsTheLogin(t *testing.T) {
	ended := make(chan error, 1)
	path, s, _ := serve(t, func(ctx context.Context, _ mfa.Request, p login.Prompter) (mfa.Verdict, error) {
		_, err := p.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})
		ended <- err
		return mfa.Verdict{Outcome: mfa.NoConversation}, err
	})
	c := dial(t, path, mfa.Request{})
	expect(t, c, wire.Prompt, "Code: ")
	if s.Running() != 1 {
		t.Errorf("%d logins run", s.Running())
	}
	_ = c.Close()
	if err := <-ended; !errors.Is(err, errGone) {
		t.Errorf("ended with %v", err)
	}
}

func TestProtocolIsHeld(t *testing.T) {
	hello := wiretest.Hello(mfa.Request{User: "alice"})
	answer := wire.Frame{Type: wire.Answer, Payload: []byte("1")}
	for name, frames := range map[string][]wire.Frame{
		"no hello":             {answer},
		"hello twice":          {hello, hello},
		"answer before prompt": {hello, answer},
		"two answers":          {hello, answer, answer, answer},
		"unknown frame":        {hello, {Type: 'Z'}},
	} {
		t.Run(name, func(t *testing.T) {
			path, _, _ := serve(t, func(ctx context.Context, _ mfa.Request, p login.Prompter) (mfa.Verdict, error) {
				for len(p.(*conversation).frames) == 0 && ctx.Err() == nil {
					runtime.Gosched() // until what was sent too early has arrived
				}
				answer, err := p.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})
				if !errors.Is(err, wire.ErrFrame) {
					t.Errorf("answer %q, %v", answer, err)
				}
				return mfa.Verdict{Outcome: mfa.NoConversation}, err
			})
			c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			for _, f := range frames {
				if err := wire.Write(c, f); err != nil {
					break // refused already
				}
			}
			expect(t, c, wire.Done, "b")
		})
	}
}

func TestTooManyLoginsAreRefused(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 2)
	path, _, _ := serve(t, func(context.Context, mfa.Request, login.Prompter) (mfa.Verdict, error) {
		started <- struct{}{}
		<-release
		return mfa.Verdict{Outcome: mfa.Accepted}, nil
	}, func(s *PAM) { s.MaxLogins = 2 })
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	a, b := dial(t, path, mfa.Request{}), dial(t, path, mfa.Request{})
	<-started
	<-started
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expect(t, c, wire.Done, "u") // before it was asked
	letGo()
	expect(t, a, wire.Done, "s")
	expect(t, b, wire.Done, "s")
}

func TestStopEndsLoginsWithAWord(t *testing.T) {
	path, _, stop := serve(t, func(ctx context.Context, _ mfa.Request, p login.Prompter) (mfa.Verdict, error) {
		_, err := p.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})
		return mfa.Verdict{Outcome: mfa.NoConversation}, err
	})
	c := dial(t, path, mfa.Request{})
	expect(t, c, wire.Prompt, "Code: ")
	stop(mfa.ErrStopping)
	expect(t, c, wire.Failure, "restarts")
	expect(t, c, wire.Done, "u")
}

func TestLoginTimeout(t *testing.T) {
	path, _, _ := serve(t, func(ctx context.Context, _ mfa.Request, p login.Prompter) (mfa.Verdict, error) {
		_, err := p.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		return mfa.Verdict{Outcome: mfa.NoConversation}, err
	}, func(s *PAM) { s.Timeout = 20 * time.Millisecond })
	c := dial(t, path, mfa.Request{})
	expect(t, c, wire.Prompt, "Code: ")
	expect(t, c, wire.Done, "c")
}

func TestOnlyRootAsksForOthers(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	uid := uint32(id)
	req := mfa.Request{
		User: "root", RHost: "192.0.2.1", RUser: "x", Service: "kscreenlocker",
		SSHAuthInfo: "publickey x AAAA", SSHConnection: "192.0.2.1 1 192.0.2.2 22",
	}
	s := &PAM{}
	if got, _, err := s.authorize(t.Context(), req, 0); err != nil || got != req {
		t.Errorf("root: %+v %v", got, err)
	}
	if _, _, err := s.authorize(t.Context(), req, uid); err == nil || !strings.Contains(err.Error(), "only root may ask for others") {
		t.Errorf("nobody for root: %v", err)
	}
	req.User = "nobody"
	want := mfa.Request{User: "nobody", Service: "kscreenlocker", UID: uid}
	if got, _, err := s.authorize(t.Context(), req, uid); err != nil || got != want {
		t.Errorf("nobody for itself: %+v %v", got, err)
	}
	s.Trusted = []string{"root", "nobody"}
	if _, _, err := s.authorize(t.Context(), req, 4000000000); err == nil {
		t.Error("a uid without an account may ask")
	}
}

// A trusted program asks for anybody, from where it says; but it is no sshd.
func TestTrustedUsersAskForOthers(t *testing.T) {
	req := mfa.Request{
		User: "alice", RHost: "192.0.2.1", RUser: "x", Service: "postgresql",
		SSHAuthInfo: "publickey x AAAA", SSHConnection: "192.0.2.9 1 192.0.2.2 22",
	}
	s := &PAM{Trusted: []string{"postgres", "nobody"}}
	want := mfa.Request{User: "alice", RHost: "192.0.2.1", RUser: "x", Service: "postgresql", UID: nobodyUID}
	if got, _, err := s.authorize(t.Context(), req, nobodyUID); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if _, _, err := s.authorize(t.Context(), req, otherUID); err == nil || !strings.Contains(err.Error(), "server.trusted_users") {
		t.Errorf("bin: %v", err)
	}
}

// A fault in a login refuses that login, with a word, and no other.
func TestFaultRefuses(t *testing.T) {
	path, _, _ := serve(t, func(_ context.Context, req mfa.Request, _ login.Prompter) (mfa.Verdict, error) {
		if req.User == "alice" {
			panic("at the disco")
		}
		return mfa.Verdict{Outcome: mfa.Accepted}, nil
	})
	expect(t, dial(t, path, mfa.Request{User: "alice"}), wire.Done, "b")
	expect(t, dial(t, path, mfa.Request{User: "bob"}), wire.Done, "s")
}

func TestListen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	path := filepath.Join(dir, "pam.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("socket: %v %v", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("while in use: %v", err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	l, err = Listen(path)
	if err != nil {
		t.Fatalf("left over: %v", err)
	}
	_ = l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("over a file: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "other.sock")); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("open folder: %v", err)
	}
}

// outcomeMeter is a Meter in a test.
type outcomeMeter chan mfa.Outcome

func (m outcomeMeter) LoginTook(o mfa.Outcome, took time.Duration) {
	if took <= 0 {
		o = mfa.Broken
	}
	m <- o
}

// Each login that a Loginer held is counted, with its time; one that never came to a
// Loginer is not.
func TestLoginsAreMeasured(t *testing.T) {
	outcomes := []mfa.Outcome{mfa.Accepted, mfa.Exhausted}
	m := make(outcomeMeter, 3)
	path, _, _ := serve(t, func(context.Context, mfa.Request, login.Prompter) (mfa.Verdict, error) {
		return mfa.Verdict{Outcome: outcomes[len(m)]}, nil
	}, func(s *PAM) { s.Meter = m })
	for range outcomes {
		expect(t, dial(t, path, mfa.Request{User: "alice"}), wire.Done, "")
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, wire.Frame{Type: wire.Answer}) // no HELLO
	expect(t, c, wire.Done, "")
	for i, want := range outcomes {
		if got := <-m; got != want {
			t.Errorf("login %d: %v", i, got)
		}
	}
	if len(m) > 0 {
		t.Errorf("%v is counted, and was no login", <-m)
	}
}
