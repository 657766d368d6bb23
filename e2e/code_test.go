package e2e

import (
	"strings"
	"testing"
)

// ready makes a site with password and code for sshd, the daemon and sshd
// running and one user enrolled.
func ready(t *testing.T, settings ...string) (*site, account) {
	t.Helper()
	s := newSite(t)
	s.set(settings...)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	return s, s.newUser("alice")
}

func TestRightCodeIn(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	s.expectLetters(alice, 1)
	s.expectFailures(alice, 0)
}

func TestCodeIsAcceptedOnce(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	code := s.code(alice, 1)
	c := s.ssh(alice)
	c.toCode(s, alice)
	if s.code(alice, 2) == code {
		return // by chance, one run in a million
	}
	c.send(code)
	c.expect(t, `That code was used already[^\0]*Code[^\n]*: $`)
	s.expectFailures(alice, 0)
}

func TestMailTellsWhatAPersonNeeds(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	found, err := s.letters(alice.email)
	ok(t, err)
	mail, code := found[0], s.code(alice, 1)
	for _, want := range []string{hostName, alice.name, "sshd", "127.0.0.1", "10 min", "not you"} {
		if !strings.Contains(mail.body, want) {
			t.Errorf("the mail does not say %q:\n%s", want, mail.body)
		}
	}
	if strings.Contains(mail.subject, code) {
		t.Errorf("the subject %q shows the code", mail.subject)
	}
}

func TestWrongCodeOut(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	c.send(wrong(code))
	c.expect(t, `That code is not right\.[^\0]*2[^\0]*Code[^\n]*: $`)
	s.expectFailures(alice, 1)
	c.send(code)
	c.expectIn(t)
}

func TestThirdWrongCodeEndsTheConversation(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice, "NumberOfPasswordPrompts=3")
	c.toCode(s, alice)
	bad := wrong(s.code(alice, 1))
	for range 2 {
		c.send(bad)
		c.expect(t, `That code is not right\.[^\0]*Code[^\n]*: $`)
	}
	c.send(bad)
	if said := c.expectOut(t); strings.Contains(said, "Password: ") {
		t.Errorf("PAM_MAXTRIES did not end keyboard-interactive: %q", said)
	}
	s.expectFailures(alice, 3)
	s.expectLetters(alice, 1)
}

// lock types five wrong codes in two connections.
func lock(t *testing.T, s *site, a account) {
	t.Helper()
	for _, tries := range []int{3, 2} {
		c := s.ssh(a)
		c.toCode(s, a)
		bad := wrong(s.code(a, 1))
		for n := range tries {
			c.send(bad)
			if n < tries-1 {
				c.expect(t, `That code is not right\.[^\0]*Code[^\n]*: $`)
			}
		}
		said := c.expectOut(t)
		if tries == 2 && (!strings.Contains(said, "locked") || !strings.Contains(said, "15 minutes")) {
			t.Fatalf("the fifth wrong code says %q", said)
		}
	}
}

// expectLocked ends the test unless a login is told of the lock and sends no mail.
func expectLocked(t *testing.T, s *site, a account) {
	t.Helper()
	c := s.ssh(a)
	c.expect(t, `Password: $`)
	c.send(password)
	if said := c.expectOut(t); !strings.Contains(said, "locked") || !strings.Contains(said, "minute") {
		t.Fatalf("a locked user is told %q", said)
	}
	s.expectLetters(a, 1)
	s.expectFailures(a, 5)
}

func TestFifthWrongCodeLocks(t *testing.T) {
	s, alice := ready(t)
	lock(t, s, alice)
	expectLocked(t, s, alice)
	bob := s.newUser("bob")
	s.login(bob, 1) // one user's lock is no other's
}

func TestLockSurvivesDaemonRestart(t *testing.T) {
	s, alice := ready(t)
	lock(t, s, alice)
	s.restartDaemon()
	expectLocked(t, s, alice)
	if said := s.mustControl("show", alice.name); !strings.Contains(strings.ToLower(said), "locked") {
		t.Errorf("mfactl show does not tell of the lock:\n%s", said)
	}
	s.mustControl("unlock", alice.name)
	s.login(alice, 1) // the code that was sent is still good
}

func TestPendingCodeSurvivesDaemonRestart(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	c.close()
	s.restartDaemon()
	c = s.ssh(alice)
	c.toCode(s, alice)
	c.send(code)
	c.expectIn(t)
	s.expectLetters(alice, 1)
}

func TestResend(t *testing.T) {
	s, alice := ready(t, `code.resend_after = "0s"`)
	c := s.ssh(alice)
	c.toCode(s, alice)
	first := s.code(alice, 1)
	c.send("r")
	c.expect(t, `Code[^\n]*: $`)
	second := s.code(alice, 2)
	if first != second {
		c.send(first) // the new code ended the old one
		c.expect(t, `older one[^\0]*Code[^\n]*: $`)
		s.expectFailures(alice, 0)
	}
	c.send(second)
	c.expectIn(t)
}

func TestResendTooSoonSaysWhen(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	c.send("r")
	c.expect(t, `second[^\0]*Code[^\n]*: $`)
	c.send(code)
	c.expectIn(t)
	s.expectLetters(alice, 1)
	s.expectFailures(alice, 0)
}

func TestPasswordTypedAtTheCodePromptIsNoAttempt(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	c.send(password)
	c.expect(t, `[^\0]*Code[^\n]*: $`)
	c.send("")
	c.expect(t, `[^\0]*Code[^\n]*: $`)
	c.send(s.code(alice, 1))
	c.expectIn(t)
	s.expectFailures(alice, 0)
}

func TestNotEnrolledIsSentToTheAdministrator(t *testing.T) {
	s, _ := ready(t, "policy.enroll_at_login = false")
	bob := newAccount(t, "bob")
	c := s.ssh(bob)
	c.expect(t, `Password: $`)
	c.send(password)
	if said := c.expectOut(t); !strings.Contains(said, "administrator") {
		t.Errorf("a user who is not enrolled is told %q", said)
	}
}

func TestKeyThenCode(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.codeOnly()...)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	alice := s.newUser("alice")
	const keyFirst = "PreferredAuthentications=publickey,keyboard-interactive"

	c := s.ssh(alice, keyFirst)
	said := c.expect(t, codePrompt(alice))
	if strings.Contains(said, "assword") {
		t.Errorf("asked for a password: %q", said)
	}
	c.send(s.code(alice, 1))
	c.expectIn(t)

	t.Run("wrong code", func(t *testing.T) {
		c := s.ssh(alice, keyFirst)
		c.expect(t, codePrompt(alice))
		bad := wrong(s.code(alice, 2))
		for range 2 {
			c.send(bad)
			c.expect(t, `not right[^\0]*Code[^\n]*: $`)
		}
		c.send(bad)
		c.expectOut(t)
	})
	t.Run("no key", func(t *testing.T) {
		c := s.ssh(alice, "PreferredAuthentications=keyboard-interactive")
		if said := c.expectOut(t); strings.Contains(said, "Code") {
			t.Errorf("asked for a code without a key: %q", said)
		}
	})
}
