package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// trusting makes a site with password and code for sshd and with a program, not root,
// that may ask for others.
func trusting(t *testing.T, settings ...string) (*site, account) {
	t.Helper()
	s, web := newSite(t), newAccount(t, "web")
	s.set(append(settings, fmt.Sprintf(`server.trusted_users = [%q]`, web.name))...)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.comeFrom(home, next)
	s.sshd()
	return s, web
}

// A trusted program that is taken over names sshd and an address; the one right code
// that the user types there lets nobody in at sshd by password alone.
func TestTrustedProgramMakesNobodyRemembered(t *testing.T) {
	s, web := trusting(t, `session.remember = "always"`)
	alice := s.newUser("alice")
	right := func(n int) func(int, string) (string, bool) {
		return func(int, string) (string, bool) { return s.code(alice, n), true }
	}
	claim := mfa.Request{Service: "sshd", User: alice.name, RHost: next}
	if said, out := s.talkAs(web.uid, claim, right(1)); out != "accepted" {
		t.Fatalf("%s %q", out, said)
	}
	c := s.beginAt(alice, next)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 2))
	c.expectIn(t)
	s.beginAt(alice, next).expectIn(t)

	// Nor does it use what was remembered at sshd; but its own.
	said, out := s.talkAs(web.uid, mfa.Request{Service: "sshd", User: alice.name, RHost: next}, hangUp)
	if out != "accepted" || said != "" {
		t.Errorf("its own is forgotten: %s %q", out, said)
	}
	s.mustControl("sessions", "revoke", alice.name)
	s.login(alice, 3)
	if _, out := s.talkAs(web.uid, mfa.Request{Service: "sshd", User: alice.name, RHost: home}, hangUp); out == "accepted" {
		t.Error("a trusted program uses what sshd remembers")
	}
}

// It enrolls nobody with a mailbox of its own, and chooses for nobody to have no
// second factor.
func TestTrustedProgramEnrollsNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		settings []string
		outcome  mfa.Outcome
	}{
		"required":          {nil, mfa.MustEnroll},
		"within the grace":  {[]string{`policy.enroll_grace = "3d"`}, mfa.Exempt},
		"optional":          {[]string{`policy.mode = "optional"`, "policy.opt_out = true"}, mfa.Exempt},
		"optional, unasked": {[]string{`policy.mode = "optional"`}, mfa.Exempt},
	} {
		t.Run(name, func(t *testing.T) {
			s, web := trusting(t, tc.settings...)
			alice := newAccount(t, "alice")
			said, out := s.talkAs(web.uid, mfa.Request{Service: "postgresql", User: alice.name, RHost: home}, func(_ int, text string) (string, bool) {
				switch {
				case strings.Contains(text, "Choice"):
					return "2", true
				case strings.Contains(text, "Email address"):
					return thiefMail.email, true
				case strings.Contains(text, "Code: "):
					return s.code(thiefMail, 1), true
				}
				return "", true
			})
			if out != tc.outcome.String() || out == "must_enroll" && !strings.Contains(said, "mfactl enroll") {
				t.Errorf("%s %q", out, said)
			}
			s.expectNoRecord(alice)
		})
	}
}

// Code that runs as the user, without any factor, chooses nothing for their logins:
// there they are asked, as before.
func TestCodeAsUserDoesNotSkip(t *testing.T) {
	s, alice := nothingYet(t, `policy.mode = "optional"`, "policy.opt_out = true")
	said, out := s.talkAs(alice.uid, mfa.Request{Service: "locker", User: alice.name}, func(int, string) (string, bool) { return "3", true })
	if out != "exempt" || strings.Contains(said, "Skip") || !strings.Contains(said, "Not now") {
		t.Errorf("%s %q", out, said)
	}
	s.expectNoRecord(alice)
	c := s.begin(alice)
	c.pick(t, "Skip for now", "")
	c.expectIn(t)
}
