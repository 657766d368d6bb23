package e2e

import (
	"strings"
	"testing"
	"time"
)

// wrongClocks say what time it was when things were stored, and what it is then.
var wrongClocks = map[string]struct {
	stored, now func(real time.Time) time.Time
}{
	"two hours ahead": {func(real time.Time) time.Time { return real.Add(2 * time.Hour) }, func(real time.Time) time.Time { return real }},
	"ten years ahead": {func(real time.Time) time.Time { return real.AddDate(10, 0, 0) }, func(real time.Time) time.Time { return real }},
	"booted in 1970":  {func(real time.Time) time.Time { return real }, func(time.Time) time.Time { return time.Unix(0, 0).AddDate(0, 0, 1) }},
}

// set makes the clock say that it is at.
func (c *clock) set(at time.Time) { c.pass(at.Sub(c.now())) }

// guesses types n wrong codes in one conversation, which has to go on.
func (c *terminal) guesses(t *testing.T, bad string, n int) {
	t.Helper()
	for range n {
		c.send(bad)
		c.expect(t, `not right[^\0]*Code[^\n]*: $`)
	}
	c.close()
}

// doctor runs doctor for people.
func (s *site) doctor() string {
	s.t.Helper()
	out, _ := s.control("doctor", "--config", s.path("mfa.toml"), "sshd")
	return out
}

// Whatever clock it was when things were remembered: nobody is shut out by it, nothing
// is good for longer than it should be, show and doctor name it, and unlock ends it.
func TestWrongClock(t *testing.T) {
	for name, wrongClock := range wrongClocks {
		t.Run(name, func(t *testing.T) {
			s, clock := inProcess(t, "code.max_sends = 1")
			real := time.Now()
			clock.set(wrongClock.stored(real))
			sent, pending, locked, guessed := s.newUser("sent"), s.newUser("pending"), s.newUser("locked"), s.newUser("guessed")
			byApp, ended, settled := newAccount(t, "app"), newAccount(t, "ended"), newAccount(t, "settled")
			phones := map[string]phone{}
			for _, a := range []account{byApp, ended, settled} {
				phones[a.name] = scan(t, s.mustControl("enroll", a.name, "--totp", "--qr"))
				s.app(a, phones[a.name], clock)
			}
			s.login(sent, 1)
			c := s.ssh(pending)
			c.toCode(s, pending)
			c.close()
			old := s.code(pending, 1)
			lock(t, s, locked)
			for range 2 {
				c = s.ssh(guessed)
				c.toCode(s, guessed)
				c.guesses(t, wrong(s.code(guessed, 1)), 2)
			}
			if out := s.doctor(); strings.Contains(out, "has not come") {
				t.Errorf("doctor says by the clock of then:\n%s", out)
			}

			clock.set(wrongClock.now(real.Add(time.Minute)))
			for a, what := range map[account]string{
				sent: "codes sent", pending: "codes sent", locked: "lock", guessed: "wrong codes", byApp: "authenticator app",
			} {
				said := s.mustControl("show", a.name)
				expectSaid(t, said, "from the future", what, "mfactl unlock "+a.name)
			}
			expectSaid(t, s.doctor(), "of a time that has not come", byApp.name, "timedatectl", "mfactl unlock --ahead")

			s.login(sent, 2) // the next code can be sent
			c = s.begin(guessed)
			c.expect(t, codePrompt(guessed))
			c.guesses(t, wrong(s.code(guessed, 1)), 1) // one wrong code does not lock
			s.appInDoubt(byApp, phones[byApp.name], clock)
			clock.trust(true)
			used := s.app(byApp, phones[byApp.name], clock)
			c = s.begin(byApp)
			c.expect(t, `app shows[^\0]*Code[^\n]*: $`)
			c.send(used)
			c.expect(t, `used already[^\0]*Code[^\n]*: $`)
			c.close()

			// No lock is longer than lockout.duration, and no code lives longer than its time.
			c = s.begin(locked)
			expectSaid(t, c.expectOut(t), "locked for 15 minutes")
			c = s.begin(pending)
			c.expect(t, codePrompt(pending))
			c.close()
			clock.pass(15*time.Minute + time.Second)
			c = s.begin(pending)
			c.expect(t, codePrompt(pending))
			c.send(old)
			c.expect(t, `expired[^\0]*Code[^\n]*: $`)
			c.close()
			s.login(locked, 2)

			// Unlock ends all of it, also where nothing vouches for the clock.
			s.appInDoubt(ended, phones[ended.name], clock)
			expectSaid(t, s.mustControl("unlock", ended.name), "was not locked", "authenticator app")
			s.app(ended, phones[ended.name], clock)
			s.appInDoubt(settled, phones[settled.name], clock)
			s.mustControl("lock", sent.name)
			expectSaid(t, s.mustControl("unlock", "--ahead"), "settled")
			s.app(settled, phones[settled.name], clock)
			expectSaid(t, s.mustControl("show", sent.name), "until unlocked") // which ends no lock
			expectSaid(t, s.mustControl("unlock", "--ahead"), "Nothing is remembered of a time that has not come")
			if out := s.doctor(); strings.Contains(out, "has not come") {
				t.Errorf("when all is settled doctor says:\n%s", out)
			}
		})
	}
}

// app logs in by an app, with the code of the clock's next step so that it was not
// used yet, and returns the code.
func (s *site) app(a account, p phone, clock *clock) string {
	s.t.Helper()
	clock.pass(p.period)
	code := p.code(s.t, clock.now())
	c := s.begin(a)
	c.expect(s.t, `app shows[^\0]*Code[^\n]*: $`)
	c.send(code)
	c.expectIn(s.t)
	return code
}

// appInDoubt has a right code refused, as nothing vouches for the clock.
func (s *site) appInDoubt(a account, p phone, clock *clock) {
	s.t.Helper()
	clock.trust(false)
	clock.pass(p.period)
	c := s.begin(a)
	c.expect(s.t, `app shows[^\0]*Code[^\n]*: $`)
	c.send(p.code(s.t, clock.now()))
	said, _, err := c.finish()
	ok(s.t, err)
	expectSaid(s.t, unwrapped(said), "the clock of this machine may be wrong")
	s.expectFailures(a, 0)
}
