package e2e

import (
	"strings"
	"testing"
)

// A parked conversation is one that waits for an answer, and what is typed then.
type parked struct {
	settings []string
	open     func(s *site, a account) *terminal
	answer   func(s *site, c *terminal, a account, clock *clock)
}

// thiefMail is where whoever has only the password has codes sent.
var thiefMail = account{email: "thief@example.com"}

var parkedOnes = map[string]parked{
	"app": {
		nil,
		func(s *site, a account) *terminal { return s.beginAt(a, elsewhere) },
		nil,
	},
	"address": {
		nil,
		func(s *site, a account) *terminal {
			c := s.beginAt(a, elsewhere)
			c.pick(s.t, offerEmail, "")
			c.expect(s.t, emailPrompt)
			c.send(thiefMail.email)
			c.expect(s.t, codePrompt(thiefMail))
			return c
		},
		func(s *site, c *terminal, _ account, _ *clock) { c.send(s.code(thiefMail, 1)) },
	},
	"skip": {
		[]string{`policy.mode = "optional"`, "policy.opt_out = true"},
		func(s *site, a account) *terminal {
			c := s.beginAt(a, elsewhere)
			c.expect(s.t, choicePrompt)
			return c
		},
		func(_ *site, c *terminal, _ account, _ *clock) { c.send("4") },
	},
	"later": {
		[]string{`policy.enroll_grace = "3d"`},
		func(s *site, a account) *terminal {
			c := s.beginAt(a, elsewhere)
			c.expect(s.t, choicePrompt)
			return c
		},
		func(_ *site, c *terminal, _ account, _ *clock) { c.send("4") },
	},
	"own": {
		nil,
		func(s *site, a account) *terminal { return s.own(a, "enroll") },
		nil,
	},
}

// park opens a conversation and leaves it at its prompt.
func (p parked) park(s *site, a account) (*terminal, func(*clock)) {
	s.t.Helper()
	c := p.open(s, a)
	if p.answer != nil {
		return c, func(clock *clock) { p.answer(s, c, a, clock) }
	}
	c.pick(s.t, offerApp, "")
	app := c.scan(s.t)
	return c, func(clock *clock) { c.send(app.code(s.t, clock.step(app.period))) }
}

// sms keeps the menus alike: app, email, text, and the way around is the fourth.
var withTexts = []string{`sms.provider = "command"`, `sms.command.path = "/bin/true"`}

// An address that an administrator enters meanwhile stands: the waiting user is asked for it,
// and adds nothing.
func TestEnrolledMeanwhile(t *testing.T) {
	for name, p := range parkedOnes {
		t.Run(name, func(t *testing.T) {
			s, clock := inProcess(t, append(p.settings, withTexts...)...)
			alice := newAccount(t, "alice")
			c, answer := p.park(s, alice)
			s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
			before := s.record(alice)
			answer(clock)
			expectSaid(t, unwrapped(c.expect(t, codePrompt(alice))), "changed meanwhile")
			if now := s.record(alice); now != before {
				t.Errorf("the record is now\n%s", now)
			}
			s.expectFailures(alice, 0)
			c.send(s.code(alice, 1))
			if name == "own" {
				c.pick(t, offerApp, "") // proven; begins anew
				return
			}
			c.expectIn(t)
			if now := s.record(alice); strings.Contains(now, "totp") || strings.Contains(now, "thief") || strings.Contains(now, "skipped") {
				t.Errorf("the record is now\n%s", now)
			}
		})
	}
}

// The user enrolls elsewhere while somebody else waits at the prompt of an app.
func TestEnrolledElsewhereMeanwhile(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	thief, answer := parkedOnes["app"].park(s, alice)
	mine, _ := s.enrollByApp(alice, clock)
	answer(clock)
	thief.expect(t, codeOrMenu)
	answer(clock)
	thief.expect(t, "not right")
	thief.close()
	s.loginByApp(alice, mine, clock)
}

// Lock, reset and revoke end what is under way at once: the audit file says so before
// anything is typed, and what is typed then changes nothing.
func TestEndedMeanwhile(t *testing.T) {
	for how, args := range map[string]func(a account) []string{
		"lock":   func(a account) []string { return []string{"lock", a.name} },
		"reset":  func(a account) []string { return []string{"reset", a.name, "--yes"} },
		"revoke": func(a account) []string { return []string{"sessions", "revoke", a.name, "--yes"} },
	} {
		for name, p := range parkedOnes {
			t.Run(how+" "+name, func(t *testing.T) {
				s, clock := inProcess(t, append(p.settings, withTexts...)...)
				alice := newAccount(t, "alice")
				c, answer := p.park(s, alice)
				// A reset of somebody of whom there is nothing says so.
				if out, status := s.control(args(alice)...); status != 0 && status != 3 {
					t.Fatalf("status %d\n%s", status, out)
				}
				event := eventLogin
				if name == "own" {
					event = "self_service"
				}
				eventually(t, "the end in the audit file", func() bool { return len(s.events(alice, event)) == 1 })
				if e := s.events(alice, event)[0]; e["outcome"] != "exhausted" || !strings.Contains(e["reason"].(string), "ended") {
					t.Errorf("the audit file says %v", e)
				}
				answer(clock)
				said := ""
				if name == "own" {
					said = c.expectStatus(t, statusFailed)
				} else {
					said = c.expectOut(t)
				}
				expectSaid(t, unwrapped(said), "administrator")
				s.expectNoRecord(alice)
			})
		}
	}
}

// Wrong codes elsewhere lock: whoever waits is ended too.
func TestLockedByWrongCodesMeanwhile(t *testing.T) {
	s, clock := inProcess(t, "lockout.failures = 3", "lockout.notify = false", "lockout.recovery = false")
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	other := s.beginAt(alice, elsewhere)
	for range 3 {
		other.expect(t, codeOrMenu)
		other.send("000000")
	}
	expectSaid(t, other.expectOut(t), "locked")
	eventually(t, "both ends in the audit file", func() bool { return len(s.events(alice, eventLogin)) == 3 })
	c.send(p.code(t, clock.step(p.period)))
	expectSaid(t, c.expectOut(t), "locked")
}

// A proof given in self-service counts only while what was proven is there.
func TestOwnProofDoesNotOutliveItsMethod(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	c := s.proven(alice, p, clock, "enroll")
	c.pick(t, offerApp, "")
	next := c.scan(t)
	// The phone was lost: the user sets up another elsewhere.
	other := s.proven(alice, p, clock, "enroll")
	other.pick(t, offerApp, "")
	mine := other.addApp(t, clock)
	other.expectStatus(t, 0)
	before := s.record(alice)
	c.send(next.code(t, clock.step(next.period)))
	c.expect(t, `changed meanwhile[^\0]*`+codeOrMenu)
	if now := s.record(alice); now != before {
		t.Errorf("the record is now\n%s", now)
	}
	c.send(next.code(t, clock.step(next.period)))
	c.expect(t, "not right")
	c.close()
	s.loginByApp(alice, mine, clock)
}
