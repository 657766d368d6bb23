package app

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// logins returns the audit lines of logins.
func (r *running) logins() []mfa.Event {
	r.t.Helper()
	var evs []mfa.Event
	for line := range strings.Lines(auditText(r.t, r)) {
		var ev mfa.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			r.t.Fatal(err)
		}
		if ev.Event == audit.Login {
			evs = append(evs, ev)
		}
	}
	return evs
}

// knock opens the PAM socket and sends a frame of the test's own.
func (r *running) knock(f wire.Frame) *module {
	r.t.Helper()
	c, err := net.Dial("unix", r.cfg.Server.PAMSocket)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	m := &module{r.t, c}
	m.send(f)
	return m
}

// However a login ends, there is one line of it, and it says what the module was
// told. So also of those that end before they begin.
func TestEveryLoginHasOneLine(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Server.MaxLogins = 1
	r := run(t, cfg)
	newer := wiretest.Hello(mfa.Request{Service: "sudo", User: r.user})
	newer.Payload[1] = 99
	giveUp := wire.Frame{Type: wire.NoAnswer, Payload: []byte{wire.ConvFailed}}
	mode := func(mode string) {
		next := r.cfg
		next.Policy.Mode = mode
		if err := r.Reload(next); err != nil {
			t.Fatal(err)
		}
	}
	prompted := func() *module {
		m := r.dial()
		m.expect(wire.Prompt, "Code: ")
		return m
	}
	mails := 0
	for _, tc := range []struct {
		outcome mfa.Outcome
		reason  string // part of it
		hold    func() *module
	}{
		{mfa.Accepted, "right code", func() *module {
			m := prompted()
			mails++
			m.answer(code(t, cfg.Email.Outbox.Path, mails))
			return m
		}},
		{mfa.NoConversation, "cannot be asked", func() *module {
			m := prompted()
			m.send(giveUp)
			return m
		}},
		{mfa.WrongCode, "cannot be asked", func() *module {
			m := prompted()
			m.answer("990099")
			m.expect(wire.Prompt, "not right")
			m.send(giveUp)
			return m
		}},
		{mfa.Exempt, "mode is off", func() *module {
			mode(login.ModeOff)
			return r.dial()
		}},
		{mfa.MustEnroll, "", func() *module {
			mode(login.ModeRequired) // after off: everybody enrolls anew
			next := r.cfg
			next.Policy.EnrollAtLogin = false
			if err := r.Reload(next); err != nil {
				t.Fatal(err)
			}
			m := r.dial()
			m.expect(wire.Failure, "No second factor is set up")
			return m
		}},
		{mfa.Broken, "protocol version 99", func() *module { return r.knock(newer) }},
		{mfa.Broken, "in place of HELLO", func() *module {
			return r.knock(wire.Frame{Type: wire.Answer, Payload: []byte("x")})
		}},
		{mfa.Unavailable, "unusable", func() *module {
			name := filepath.Join(cfg.Store.Path, "users", r.user+".toml")
			if err := os.WriteFile(name, []byte("= nonsense"), 0o600); err != nil {
				t.Fatal(err)
			}
			m := r.dial()
			m.expect(wire.Failure, "cannot be checked")
			return m
		}},
	} {
		before := len(r.logins())
		m := tc.hold()
		m.expect(wire.Done, string(wire.EncodeDone(mfa.Verdict{Outcome: tc.outcome}).Payload[:1]))
		m.gone()
		evs := r.logins()[before:]
		if len(evs) != 1 || evs[0].Outcome != tc.outcome.String() || !strings.Contains(evs[0].Reason, tc.reason) {
			t.Errorf("%v: lines %+v", tc.outcome, evs)
		}
	}
}

// gone waits until the daemon has closed the connection.
func (m *module) gone() {
	m.t.Helper()
	if f, err := wire.Read(m.c); err == nil {
		m.t.Errorf("after the end: %c %q", f.Type, f.Payload)
	}
}

func TestTooManyLoginsHaveALine(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Server.MaxLogins = 1
	r := run(t, cfg)
	r.dial().expect(wire.Prompt, "Code: ")
	r.dial().expect(wire.Done, "u")
	evs := r.logins()
	if len(evs) != 1 || evs[0].Address != "" || evs[0].Outcome != mfa.Unavailable.String() || !strings.Contains(evs[0].Reason, "too many logins at once") {
		t.Errorf("lines %+v", evs)
	}
}

// A caller that only looks whether the daemon is there has not logged in.
func TestProbeHasNoLine(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	c, err := net.Dial("unix", r.cfg.Server.PAMSocket)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if f, err := wire.Read(c); err != nil || f.Type != wire.Done {
		t.Errorf("frame %c, %v", f.Type, err)
	}
	_ = c.Close()
	if evs := r.logins(); len(evs) != 0 {
		t.Errorf("lines %+v", evs)
	}
}

// The log has every event with each field by its name, and so has the journal.
func TestEventsAreInTheLog(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Audit.File = ""
	r := run(t, cfg)
	m := r.dial()
	m.expect(wire.Prompt, "Code: ")
	m.answer(code(t, cfg.Email.Outbox.Path, 1))
	m.expect(wire.Done, "s")
	for _, want := range []string{
		"msg=config.loaded event=config.loaded reason=start",
		"msg=enrollment.changed event=enrollment.changed user=" + r.user,
		"service=sudo address=local method=email outcome=accepted reason=\"right code\"",
	} {
		if s := r.log.String(); !strings.Contains(s, want) {
			t.Errorf("the log does not say %q:\n%s", want, s)
		}
	}
}
