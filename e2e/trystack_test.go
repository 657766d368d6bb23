package e2e

import (
	"strings"
	"testing"
)

// mfactl test goes through the very stack of sshd, with its prompts.
func TestTryTheStack(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	alice := s.newUser("alice")
	root := account{name: "root", home: "/root"}
	begin := func() *terminal {
		c := s.own(root, "test", alice.name, "--service", "sshd", "--rhost", "203.0.113.7")
		c.expect(t, `Password: $`)
		return c
	}

	c := begin()
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	expectSaid(t, c.expectStatus(t, 0), "pam_authenticate: PAM_SUCCESS (0)", "pam_acct_mgmt: PAM_SUCCESS (0)", "would be let in")
	expectSaid(t, s.letterAt(alice, 1).body, "203.0.113.7")
	if strings.Contains(c.said.String(), password) {
		t.Errorf("the password shows: %q", c.said.String())
	}

	c = begin()
	c.send("not-" + password)
	expectSaid(t, c.expectStatus(t, statusFailed), "pam_authenticate: PAM_AUTH_ERR (7)", "would not be let in")

	c = begin()
	c.send(password)
	c.expect(t, codePrompt(alice))
	_, _ = c.file.WriteString("\x03")
	expectSaid(t, c.expectStatus(t, statusFailed), "mfactl: interrupted")

	ok(t, s.stopDaemon())
	c = begin()
	c.send(password)
	expectSaid(t, c.expectStatus(t, statusFailed), "PAM_AUTHINFO_UNAVAIL (9)", "would not be let in")
}

// letterAt returns the nth mail (1: first) to a.
func (s *site) letterAt(a account, n int) letter {
	s.t.Helper()
	found, err := s.letters(a.email)
	ok(s.t, err)
	return found[n-1]
}
