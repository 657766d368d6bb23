package e2e

import (
	"strings"
	"testing"
)

// onlyApps makes a policy under which email does not count any more.
const onlyApps = `policy.methods = ["totp"]`

// A user with a second factor is asked for it under every policy that asks, also where
// it does not count: a narrower policy makes nobody a newcomer.
func TestNarrowerMethodsMakeNoNewcomers(t *testing.T) {
	for name, tc := range map[string]struct {
		settings []string
		then     func(t *testing.T, c *terminal) // after the right code
	}{
		"optional":          {[]string{`policy.mode = "optional"`}, func(t *testing.T, c *terminal) { c.expectIn(t) }},
		"optional, opt out": {[]string{`policy.mode = "optional"`, "policy.opt_out = true"}, notNow},
		"optional, opt out, not at login": {
			[]string{`policy.mode = "optional"`, "policy.opt_out = true", "policy.enroll_at_login = false"},
			func(t *testing.T, c *terminal) { c.expectIn(t) },
		},
		"required":        {nil, func(t *testing.T, c *terminal) { c.expect(t, codeWanted) }},
		"required, grace": {[]string{`policy.enroll_grace = "3d"`}, func(t *testing.T, c *terminal) { c.pick(t, offerLater, ""); c.expectIn(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.set(append(tc.settings, onlyApps)...)
			s.stack("sshd", s.passwordThenCode()...)
			s.startDaemon()
			s.sshd()
			alice := s.newUser("alice") // by an administrator; who says where codes go
			before := s.record(alice)

			c := s.begin(alice)
			c.expect(t, codePrompt(alice))
			c.close() // a conversation that ends lets nobody in
			s.expectRule(alice, "policy", "no_conversation")
			for range 3 {
				c = s.begin(alice)
				c.expect(t, codePrompt(alice))
				c.send(wrong(s.code(alice, 1)))
				c.expect(t, "not right")
				c.close()
			}
			if now := s.record(alice); now != before {
				t.Errorf("changed by the password alone:\n%s", now)
			}
			x := s.explain(alice, fromHere)
			if x.Result == goesIn || !strings.Contains(x.Text, "does not count here") {
				t.Errorf("mfactl explains %+v", x)
			}
			c = s.begin(alice)
			c.expect(t, codePrompt(alice))
			c.send(s.code(alice, 1))
			tc.then(t, c)
		})
	}
}

// notNow puts off what somebody is led to who has proven what they have, which stays.
func notNow(t *testing.T, c *terminal) {
	if menu := c.pick(t, "Not now", ""); strings.Contains(menu, offerSkip) {
		t.Errorf("what was proven can be thrown away unnamed: %q", menu)
	}
	c.expectIn(t)
}

// Where users can set up nothing by themselves, policy says all the same who is let in
// without, and whom to ask is said.
func TestNothingToSetUp(t *testing.T) {
	for name, settings := range map[string][]string{
		"grace":    {`policy.enroll_grace = "3d"`},
		"optional": {`policy.mode = "optional"`, "policy.opt_out = true"},
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := nothingYet(t, append(settings, `policy.methods = ["email"]`, "policy.self_contacts = false")...)
			expectSaid(t, unwrapped(s.begin(alice).expectIn(t)), "Ask your administrator to enroll you")
			s.expectNoRecord(alice)
		})
	}
}
