package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The policy becomes stricter while somebody waits at a prompt: what they answer then
// counts by the policy of then. None of it lets them in or changes what they have.
func TestPolicyBecomesStricterMeanwhile(t *testing.T) {
	optional, strict := []string{`policy.mode = "optional"`, "policy.opt_out = true"}, []string{`policy.mode = "required"`, "policy.opt_out = false"}
	const rules, keptOut = `rules for logging in have changed[^\0]*`, "Ask your administrator"
	for name, tc := range map[string]struct {
		before, after []string
		parked, next  string // what is chosen then; what is said after the answer
	}{
		"skip":                   {optional, strict, offerSkip, rules + choicePrompt},
		"later":                  {[]string{`policy.enroll_grace = "3d"`}, []string{`policy.enroll_grace = "0s"`}, offerLater, rules + choicePrompt},
		"setup":                  {nil, []string{"policy.enroll_at_login = false"}, offerApp, keptOut},
		"setup under one rule":   {nil, []string{`policy.rule = [{services = ["sshd"], enroll_at_login = false}]`}, offerApp, keptOut},
		"setup of what is off":   {nil, []string{`policy.methods = ["email"]`}, offerApp, rules + `(address|Choice)[^\n]*: $`},
		"optional, then nothing": {append([]string{"policy.enroll_at_login = true"}, optional...), append([]string{"policy.enroll_at_login = false"}, strict...), offerSkip, keptOut},
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := nothingYet(t, tc.before...)
			c := s.begin(alice)
			answer := func() { c.pick(t, tc.parked, "") }
			if tc.parked == offerApp {
				answer()
				p := c.scan(t)
				answer = func() { c.send(p.code(t, (&clock{}).now())) }
			} else {
				menu := c.expect(t, choicePrompt)
				n := strings.Count(menu[:strings.Index(menu, tc.parked)], "\n  ")
				answer = func() { c.send(fmt.Sprint(n)) }
			}
			s.set(tc.after...)
			s.reload()
			answer()
			c.expect(t, tc.next)
			c.close()
			if strings.Contains(c.said.String(), welcome) {
				t.Error("let in")
			}
			s.expectNoRecord(alice)
		})
	}
}

// Self-service goes by the policy of then, too: nobody opts out of what has become
// required.
func TestOptOutWhilePolicyBecomesStricter(t *testing.T) {
	s, alice := ready(t, `policy.mode = "optional"`, "policy.opt_out = true")
	c := s.own(alice, "opt-out")
	c.expect(t, codePrompt(alice))
	before := s.record(alice)
	s.set(`policy.mode = "required"`, "policy.opt_out = false")
	s.reload()
	c.send(s.code(alice, 1))
	expectSaid(t, c.expectStatus(t, statusNotAllowed), "required")
	if now := s.record(alice); now != before {
		t.Errorf("the record is now\n%s", now)
	}
}

// A right code is never turned away because of a reload. One that changes nothing for
// who waits is not even noticed.
func TestReloadWhileACodeIsAwaited(t *testing.T) {
	for name, tc := range map[string]struct {
		after []string
		asked bool // once more
	}{
		"nothing":                     {nil, false},
		"not the policy":              {[]string{`code.lifetime = "5m"`, `session.remember = "always"`}, false},
		"a rule for others":           {[]string{`policy.rule = [{users = ["root"], mode = "off"}, {services = ["sudo"], methods = ["totp"]}]`}, false},
		"a rule that says the same":   {[]string{`policy.rule = [{services = ["sshd"], mode = "required"}]`}, false},
		"methods":                     {[]string{`policy.methods = ["email", "backup"]`}, true},
		"a rule for them":             {[]string{`policy.rule = [{services = ["sshd"], methods = ["email"]}]`}, true},
		"nobody is asked any more":    {[]string{`policy.mode = "off"`}, false},
		"the method counts no longer": {[]string{`policy.methods = ["totp"]`, `policy.mode = "optional"`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := ready(t)
			c := s.ssh(alice)
			c.toCode(s, alice)
			s.set(tc.after...)
			s.reload()
			code := s.code(alice, 1)
			c.send(code)
			if tc.asked {
				c.expect(t, `rules for logging in have changed[^\0]*Code[^\n]*: $`)
				c.send(code)
			}
			c.expectIn(t)
			s.expectLetters(alice, 1)
		})
	}
}

// The account is made anew, with another uid, and enrolled, while somebody of the former
// one waits: they end, and nothing of the new one's is touched.
func TestAccountMadeAnewMeanwhile(t *testing.T) {
	for _, enrolled := range []bool{true, false} {
		t.Run(fmt.Sprint("enrolled ", enrolled), func(t *testing.T) {
			s, clock := inProcess(t)
			alice := newAccount(t, "alice")
			c := s.begin(alice)
			c.pick(t, offerApp, "")
			p := c.scan(t)
			passwd, err := os.ReadFile("/etc/passwd")
			ok(t, err)
			t.Cleanup(func() { _ = os.WriteFile("/etc/passwd", passwd, 0o644) })
			anew := strings.ReplaceAll(string(passwd), fmt.Sprintf("\n%s:x:%d:", alice.name, alice.uid), fmt.Sprintf("\n%s:x:%d:", alice.name, alice.uid+5000))
			ok(t, os.WriteFile("/etc/passwd", []byte(anew), 0o644))
			before := ""
			if enrolled {
				s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
				before = s.record(alice)
			}
			c.send(p.code(t, clock.step(p.period)))
			expectSaid(t, unwrapped(c.expectOut(t)), "This account changed. Log in again.")
			if !enrolled {
				s.expectNoRecord(alice)
			} else if now := s.record(alice); now != before {
				t.Errorf("the record was\n%s\nand is\n%s", before, now)
			}
		})
	}
}
