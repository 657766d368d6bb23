package e2e

import "testing"

// ownWays are the ways in which code under a's uid can guess at a's second factor: the
// PAM socket, as a screen locker asks there, and all of self-service that asks for a
// proof.
func (s *site) ownWays(a account) map[string]func() *terminal {
	s.stack("locker", s.codeOnly()...)
	ways := map[string]func() *terminal{
		"pam.sock": func() *terminal { return s.own(a, "test", a.name, "--service", "locker") },
	}
	for _, args := range [][]string{{"enroll"}, {"backup-codes"}, {"prefer", "email"}, {"opt-out"}} {
		ways[args[0]] = func() *terminal { return s.own(a, args...) }
	}
	return ways
}

// guess types n wrong codes at a prompt for one of an app, and returns after the last.
func (c *terminal) guess(t *testing.T, p phone, clock *clock, n int) {
	t.Helper()
	for range n {
		c.expect(t, codeOrMenu)
		c.send(wrong(p.code(t, clock.now())))
		c.expect(t, "That code is not right")
	}
}

// apartSite has a user with an app, mail and backup codes.
func apartSite(t *testing.T) (*site, account, phone, *clock) {
	return twoMethods(t, `policy.mode = "optional"`, "policy.opt_out = true")
}

// Code that runs under the user's uid guesses until its own way is shut, which shuts
// all of its ways. Logins by ssh lose no try by that, and work with the right code; and
// the right code there does not open those ways.
func TestGuessesOfAProgramShutNoLogin(t *testing.T) {
	s, alice, p, clock := apartSite(t)
	for name, open := range s.ownWays(alice) {
		t.Run(name, func(t *testing.T) {
			defer s.mustControl("unlock", alice.name)
			before := len(s.events(alice, eventFailed))
			c := s.begin(alice)
			c.guess(t, p, clock, 3)
			c.expectOut(t)

			open().guess(t, p, clock, 3)
			c = open()
			c.guess(t, p, clock, 2)
			c.expect(t, `locked\s+here`)
			other := "pam.sock"
			if name == other {
				other = "enroll"
			}
			s.ownWays(alice)[other]().expect(t, `locked\s+here`)
			c = s.begin(alice)
			c.guess(t, p, clock, 1)
			c.expect(t, `One try left[^\0]*`+codeOrMenu) // the fourth here
			c.send(p.code(t, clock.step(p.period)))
			c.expectIn(t)
			open().expect(t, `locked\s+here`)
			s.loginByApp(alice, p, clock)
			if n := len(s.events(alice, eventFailed)) - before; n != 3+5+1 {
				t.Errorf("%d wrong codes in the audit file", n)
			}
		})
	}
}

// A lock of logins shuts what code under the user's uid can ask, at once.
func TestALockOfLoginsShutsProgramsToo(t *testing.T) {
	s, alice, p, clock := apartSite(t)
	c := s.begin(alice)
	c.guess(t, p, clock, 3)
	c.expectOut(t)
	waiting := s.own(alice, "enroll")
	waiting.expect(t, codeOrMenu)
	c = s.begin(alice)
	c.guess(t, p, clock, 2)
	c.expect(t, `locked\s+for`)
	waiting.send("") // it was ended, but mfactl waits for a line
	waiting.expect(t, `locked\s+for`)
	waiting.expectStatus(t, statusFailed)
	for name, open := range s.ownWays(alice) {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				c := open()
				c.expect(t, `locked\s+for[^\0]*`+recoveryPrompt)
				c.send(p.code(t, clock.step(p.period)))
				c.expect(t, `cannot\s+be\s+the\s+recovery\s+code[^\0]*`+recoveryPrompt)
				for range 2 {
					c.send("2222-2222-2222-2222")
					c.expect(t, `not right[^\0]*`+recoveryPrompt)
				}
				c.send("2222-2222-2222-2222")
				c.expectOut(t)
			}
		})
	}
	c = s.begin(alice) // after thirty wrong ones there the code still ends the lock
	c.expect(t, recoveryPrompt)
	c.send(s.notices(alice)[len(s.notices(alice))-1].recoveryCode(t))
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.expectIn(t)
}
