package e2e

import (
	"slices"
	"strings"
	"testing"
)

// pressEnter is how a prompt ends that only tells.
const pressEnter = `Press Enter to go on: $`

// sudo begins a sudo of a, and types the password.
func (s *site) sudo(a account, options ...string) *terminal {
	s.t.Helper()
	c := s.as(a, append(append([]string{"sudo"}, options...), "sh", "-c", greet)...)
	c.expect(s.t, `assword[^\n]*: $`)
	c.send(password)
	return c
}

// expectTold ends the test unless c, of a program that shows no messages, tells
// what pattern matches once, in a prompt that wants Enter and no more, and ends.
func (c *terminal) expectTold(t *testing.T, pattern string) {
	t.Helper()
	said := c.expect(t, pattern+`[^\0]*`+pressEnter)
	c.send("")
	rest, _, err := c.finish()
	ok(t, err)
	if strings.Contains(rest, "Press Enter") {
		t.Errorf("Enter is asked for again: %q, %q", said, rest)
	}
}

// Sudo passes PAM_SILENT and shows no message of a module: what people must know
// stands in a prompt.
func TestSudoIsToldWhatItMustKnow(t *testing.T) {
	s, clock := daemonInProcess(t, "lockout.failures = 4", `lockout.recovery = false`)
	s.stack("sudo", s.passwordThenCode()...)
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	alice := newAccount(t, "alice")
	maySudo(t, alice)
	p, codes := s.enrollByApp(alice, clock)

	t.Run("no word too many where all is well", func(t *testing.T) {
		c := s.sudo(alice)
		c.expect(t, codeOrMenu)
		c.send(p.code(t, clock.step(p.period)))
		c.expectIn(t)
	})
	t.Run("backup codes left", func(t *testing.T) {
		c := s.sudo(alice)
		c.expect(t, codeOrMenu)
		c.send("m")
		c.pick(t, byBackup, "")
		c.expect(t, backupPrompt)
		c.send(codes[0])
		expectSaid(t, c.expectInAfter(t), "9 backup codes are left")
	})
	t.Run("the third wrong code", func(t *testing.T) {
		c := s.sudo(alice)
		for range 3 {
			c.expect(t, codeOrMenu)
			c.send("000000")
		}
		c.expectTold(t, `not right`)
	})
	t.Run("the one that locks", func(t *testing.T) {
		c := s.sudo(alice)
		c.expect(t, codeOrMenu)
		c.send("000000")
		c.expectTold(t, `Your second factor is locked for`)
	})
	t.Run("locked", func(t *testing.T) {
		s.sudo(alice).expectTold(t, `Your second factor is locked for`)
	})
}

func TestSudoIsToldThatNobodyIsEnrolled(t *testing.T) {
	s := newSite(t)
	s.set("policy.enroll_at_login = false")
	s.stack("sudo", s.passwordThenCode()...)
	s.startDaemon()
	bob := newAccount(t, "bob")
	maySudo(t, bob)
	s.sudo(bob).expectTold(t, `No second factor is set up for this account`)
}

func TestSudoIsToldThatTheDaemonIsAway(t *testing.T) {
	s := newSite(t)
	s.stack("sudo", s.passwordThenCode()...)
	s.startDaemon()
	alice := s.newUser("alice")
	maySudo(t, alice)
	ok(t, s.stopDaemon())
	s.sudo(alice).expectTold(t, `cannot be checked right now`)
}

// Where nobody sits, as with sudo -S in a script, the prompt holds nothing up.
func TestSilentProgramWithoutAnybody(t *testing.T) {
	s := newSite(t)
	s.set("policy.enroll_at_login = false")
	s.stack("sudo", s.passwordThenCode()...)
	s.startDaemon()
	bob := newAccount(t, "bob")
	maySudo(t, bob)
	c := s.as(bob, "sh", "-c", "echo "+password+" | sudo -S sh -c '"+greet+"'")
	c.expectOut(t)
}

// shell is a login of a by ssh, for a shell. Sshd shows messages that come after the
// last prompt twice there: once when the login succeeds, once more above the shell.
func (s *site) shell(a account) *terminal {
	s.t.Helper()
	cmd := s.sshCommand(a, "RequestTTY=force")
	cmd.Args = slices.Delete(cmd.Args, len(cmd.Args)-1, len(cmd.Args))
	c := open(s.t, cmd)
	c.expect(s.t, `Password: $`)
	c.send(password)
	return c
}

// inShell ends the test unless c was let in, leaves its shell and returns what was
// written meanwhile.
func (c *terminal) inShell(t *testing.T) string {
	t.Helper()
	c.send("echo let-in-e$((1+1))e; exit")
	return c.expectInAfter(t)
}

// expectOnce ends the test unless c was let in and wrote each of the words once.
func (c *terminal) expectOnce(t *testing.T, words ...string) {
	t.Helper()
	said := c.inShell(t)
	for _, w := range words {
		if n := strings.Count(said, w); n != 1 {
			t.Errorf("%q is said %d times: %q", w, n, said)
		}
	}
}

func TestASSHShellIsToldOnce(t *testing.T) {
	s, clock := inProcess(t, `policy.mode = "optional"`, "policy.opt_out = true")
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	c := s.shell(alice)
	c.pick(t, offerApp, "")
	c.addApp(t, clock)
	codes := c.keep(t)
	c.expectOnce(t, "Done: it works.")

	c = s.shell(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(codes[0])
	c.expectOnce(t, "9 backup codes are left")

	c = s.shell(bob)
	c.pick(t, offerSkip, "")
	c.expectOnce(t, "you are not asked again")
}

// Where no backup codes follow, the code of a setup is the last that is typed.
func TestASSHShellIsToldOnceThatItIsSetUp(t *testing.T) {
	s, clock := inProcess(t, `policy.methods = ["totp", "email"]`)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	c := s.shell(alice)
	c.pick(t, offerApp, "")
	expectSaid(t, c.expect(t, `Type q`+`[^\0]*`+codeWanted), "With the right code you are done.")
	c.send("q")
	p := scan(t, c.expect(t, codeWanted))
	c.send(p.code(t, clock.step(p.period)))
	c.expectSilence(t)

	c = s.shell(bob)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(bob.email)
	expectSaid(t, c.expect(t, codePrompt(bob)), "With the right code you are done.")
	c.send(s.code(bob, 1))
	c.expectSilence(t)
}

// expectSilence ends the test unless c was let in, and nothing of it was said.
func (c *terminal) expectSilence(t *testing.T) {
	t.Helper()
	if said := c.inShell(t); strings.Contains(said, "Done") {
		t.Errorf("after the last prompt it says %q", said)
	}
}

// The question that follows the code of another factor says that an app's clock is off;
// without one, the menu has told what may be wrong.
func TestASSHShellIsToldOnceOfAWrongClock(t *testing.T) {
	for remember, clockSaid := range map[string]int{"ask": 1, "never": 0} {
		s, clock := daemonInProcess(t, `session.remember = "`+remember+`"`)
		s.comeFrom(home)
		s.stack("sshd", s.passwordThenCode()...)
		s.sshd()
		alice := newAccount(t, "alice")
		p, _ := s.enrollByApp(alice, clock)
		s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
		c := s.shell(alice)
		c.expect(t, codeOrMenu)
		c.send(p.code(t, clock.now().Add(10*p.period)))
		c.expect(t, codeOrMenu)
		c.send("m")
		expectSaid(t, c.pick(t, byEmail, ""), "If what your app showed was refused")
		c.expect(t, codePrompt(alice))
		c.send(s.code(alice, 1))
		if remember == "ask" {
			c.expect(t, rememberPrompt)
			c.send("n")
		}
		said := c.inShell(t)
		if n := strings.Count(said, "Your app's clock seems to be"); n != clockSaid {
			t.Errorf("remember %s: it is said %d times: %q", remember, n, said)
		}
	}
}
