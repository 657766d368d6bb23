package e2e

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"mfa/internal/deliver/delivertest"
)

// A client with a key and no terminal, such as git or cron, cannot answer. Nobody
// gets a mail for it, and a person at a terminal still does.
func TestNobodyToAskGetsNoMail(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.codeOnly()...)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	alice := s.newUser("alice")
	const keyFirst = "PreferredAuthentications=publickey,keyboard-interactive"
	for _, options := range [][]string{
		{keyFirst},
		{keyFirst, "NumberOfPasswordPrompts=3"},
		{keyFirst, "BatchMode=yes"},
	} {
		cmd := s.sshCommand(alice, options...)
		cmd.Env = append(cmd.Env, "SSH_ASKPASS_REQUIRE=never")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if out, err := cmd.CombinedOutput(); err == nil || strings.Contains(string(out), welcome) {
			t.Fatalf("let in: %s", out)
		}
	}
	s.expectLetters(alice, 0)
	s.expectFailures(alice, 0)
	c := s.ssh(alice, keyFirst)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectIn(t)
}

// Sudo that may ask nobody sends nothing.
func TestSudoThatMayNotAskSendsNothing(t *testing.T) {
	s := newSite(t)
	s.stack("sudo", s.codeOnly()...)
	s.startDaemon()
	alice := s.newUser("alice")
	ok(t, appendFile("/etc/sudoers", alice.name+" ALL=(ALL) ALL"))
	for _, flags := range []string{"-n", "-S"} {
		cmd := exec.Command("setsid", "-w", "setpriv", "--reuid", alice.name, "--regid", alice.name, "--clear-groups", "sudo", flags, "id")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Fatalf("let in: %s", out)
		}
	}
	s.expectLetters(alice, 0)
}

// A text that Twilio took and then reports as undelivered goes by email, and who
// waits reads it at the next Enter.
func TestTextReportedUndeliveredGoesByEmail(t *testing.T) {
	for _, code := range []int{30034, 30005} {
		tw := delivertest.NewTwilio(t, delivertest.TwilioOptions{
			Open: true, Fates: []delivertest.TwilioFate{{Status: "undelivered", Code: code}},
		})
		s := newSite(t)
		s.set(to(t, tw)...)
		s.set(`policy.methods = ["sms"]`)
		s.run()
		alice := newAccount(t, "alice")
		s.mustControl("enroll", alice.name, "--phone", number, "--email", alice.email, "--no-message")
		c := s.begin(alice)
		c.expect(t, `A code (was|is being) sent to[^\0]*`+endOfCode)
		mailed := s.code(alice, 1)
		if mailed != texted(t, tw, 1) {
			t.Error("the mail has another code")
		}
		c.send("")
		said := unwrapped(c.expect(t, `sent by email[^\0]*`+endOfCode))
		if !strings.Contains(said, "The text message to "+maskedNumber+" did not arrive.") {
			t.Errorf("it says %q", said)
		}
		c.send(mailed)
		c.expectIn(t)
		s.expectFailures(alice, 0)
	}
}
