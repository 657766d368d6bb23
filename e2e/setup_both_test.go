package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Options of ssh: with the user's key, and without one.
const (
	withKey    = "PreferredAuthentications=publickey,keyboard-interactive"
	withoutKey = "PubkeyAuthentication=no"
)

// One host has both: who has a key is asked for a key and a code, the others for a
// password and a code. No way lets in with one factor.
func TestSetupBothFirstFactors(t *testing.T) {
	s, alice := debian(t)
	bob, glass := s.newUser("bob"), newAccount(t, "glass")
	ok(t, os.Remove(bob.home+"/.ssh/authorized_keys"))

	c := s.setup("sshd", "--first-factor", "both", "--user", alice.name)
	shown := c.expect(t, `Make these changes\? \[y/N\] $`)
	expectSaid(t, shown, "proven=publickey", "+AuthenticationMethods publickey,keyboard-interactive:pam keyboard-interactive:pam",
		"+account  required   pam_mfa.so")
	c.send("y")
	c.expect(t, nowLogIn)
	eventually(t, "sshd asks for a code", func() bool { return strings.Contains(s.sshdLog.String(), "SIGHUP") })
	l := s.ssh(alice, withKey)
	if said := l.expect(t, codePrompt(alice)); strings.Contains(said, "Password") {
		t.Errorf("a password was asked for behind a key: %q", said)
	}
	l.send(s.code(alice, 1))
	l.expectIn(t)
	expectSaid(t, c.expectStatus(t, 0), alice.name+" logged in (email", "The change stays")

	s.login(bob, 1) // password and code
	l = s.ssh(alice, withoutKey)
	l.toCode(s, alice)
	l.send(s.code(alice, 2))
	l.expectIn(t)

	// One factor: the key, the key with a wrong code, the password with a wrong
	// code, a code behind a wrong password.
	l = s.ssh(alice, "PreferredAuthentications=publickey")
	expectSaid(t, l.expectOut(t), "Permission denied")
	l = s.ssh(alice, withKey)
	l.expect(t, codePrompt(alice))
	l.send(wrong(s.code(alice, 3)))
	l.expect(t, `not right[^\0]*Code[^\n]*: $`)
	l.close()
	l = s.begin(bob)
	l.expect(t, codePrompt(bob))
	l.send(wrong(s.code(bob, 2)))
	l.expect(t, `not right[^\0]*Code[^\n]*: $`)
	l.close()
	from := len(s.codes(bob))
	l = s.ssh(bob)
	l.expect(t, `Password: $`)
	l.send("no password of anybody")
	expectSaid(t, l.expectOut(t), "Permission denied")
	if n := len(s.codes(bob)); n != from {
		t.Errorf("a wrong password sent %d codes", n-from)
	}

	// An exempt user gets in by the first factor, and by no less.
	s.settings["policy.rule"] = fmt.Sprintf("[{name = \"glass\", users = [%q], mode = \"off\"}]", glass.name)
	s.reload()
	s.ssh(glass, withKey).expectIn(t)
	s.begin(glass).expectIn(t)
	l = s.ssh(glass, withoutKey)
	l.expect(t, `Password: $`)
	l.send("no password of anybody")
	expectSaid(t, l.expectOut(t), "Permission denied")

	out, _ := s.control("doctor", "--config", s.path("mfa.toml"), "sshd")
	expectSaid(t, out, "SSH key or password (pam_unix), then second factor (pam_mfa)")
	if strings.Contains(out, "error    sshd") {
		t.Errorf("doctor:\n%s", out)
	}
	expectSaid(t, s.setup("sshd", "--first-factor", "key").expectStatus(t, 1), "another first factor than key: it is both", "mfactl setup sshd --undo")
	expectSaid(t, s.setup("sshd", "--undo").expectStatus(t, 0), "sshd is as it was before.")
	expectAsBefore(t, s, alice)
}

// codes returns the mails to a that hold a code.
func (s *site) codes(a account) []letter {
	s.t.Helper()
	found, err := s.letters(a.email)
	ok(s.t, err)
	return slices.DeleteFunc(found, letter.isNotice)
}

// setupBy runs mfactl setup for somebody who became root by sudo.
func (s *site) setupBy(a account, args ...string) *terminal {
	s.t.Helper()
	argv := append([]string{"--socket", s.path("run/control.sock"), "setup", "--config", s.path("mfa.toml")}, args...)
	cmd := exec.Command(artefact("mfactl"), argv...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SUDO_USER=" + a.name}
	return open(s.t, cmd)
}

// The login that proves a change is that of who makes it, or of the user they name.
func TestSetupIsProvenByTheAdministrator(t *testing.T) {
	for name, begin := range map[string]func(s *site, admin, other account) *terminal{
		"who became root": func(s *site, admin, _ account) *terminal {
			return s.setupBy(admin, "sshd", "--yes")
		},
		"who is named": func(s *site, admin, other account) *terminal {
			return s.setupBy(other, "sshd", "--yes", "--user", admin.name)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := debian(t)
			mallory := s.newUser("mallory")
			c := begin(s, alice, mallory)
			expectSaid(t, c.expect(t, nowLogIn+`[^\n]*\n`), "as "+alice.name)
			eventually(t, "sshd asks for a code", func() bool { return strings.Contains(s.sshdLog.String(), "SIGHUP") })
			s.login(mallory, 1)
			s.login(alice, 1)
			said := c.expectStatus(t, 0)
			expectSaid(t, said, alice.name+" logged in")
			if strings.Contains(said, mallory.name+" logged in") {
				t.Errorf("somebody else's login proved it: %s", said)
			}
		})
	}
	s, _ := debian(t)
	expectSaid(t, s.setup("sshd", "--user", "nobody-by-this-name").expectStatus(t, 3), "no account named")
	expectSaid(t, s.setup("gdm").expectStatus(t, 2), "sshd, sudo, sudo-i, su, su-l, login, remote")
}

// The warnings that doctor would give after the change stand before the question.
func TestSetupWarnsBeforeItAsks(t *testing.T) {
	s, alice := debian(t)
	shown := s.setup("sshd").expect(t, `Make these changes\? \[y/N\] $`)
	expectSaid(t, shown, "publickey alone lets in, with no second factor", "--first-factor both")
	expectAsBefore(t, s, alice)
}

// A new password is offered and demanded where the account part of the service can
// carry it, as mfactl setup writes it, and nowhere else.
func TestPasswordChangeWhereItCanBe(t *testing.T) {
	s, alice := debian(t)
	s.setup("sshd", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	written, err := os.ReadFile(sshdPAM)
	ok(t, err)
	ours := "account  required   pam_mfa.so socket=" + s.path("run/pam.sock") + "\n"
	expectSaid(t, string(written), ours)
	without := strings.Replace(string(written), ours, "", 1)
	for name, tc := range map[string]struct {
		text    string
		offered bool
	}{
		"as setup writes it":   {string(written), true},
		"no account line":      {without, false},
		"never come to":        {strings.Replace(without, "account", "account sufficient pam_permit.so\n"+ours+"account", 1), false},
		"the answer is thrown": {strings.Replace(without, "account", strings.Replace(ours, "required", "[default=ignore]", 1)+"account", 1), false},
		"by another file":      {strings.Replace(without, "account", "account include mfa-account\naccount", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, os.WriteFile("/etc/pam.d/mfa-account", []byte(ours), 0o644))
			ok(t, os.WriteFile(sshdPAM, []byte(tc.text), 0o644))
			c := s.ssh(alice)
			c.expect(t, `Password: $`)
			c.send(password)
			c.expect(t, `Code[^\n]*: $`)
			c.send("m")
			said := c.expect(t, `Code[^\n]*: $`)
			if strings.Contains(said, "Type p to change your password") != tc.offered {
				t.Errorf("%q", said)
			}
			c.close()
		})
	}
	ok(t, os.Remove("/etc/pam.d/mfa-account"))
	s.settings["lockout.force_password_change"] = "true"
	ok(t, os.WriteFile(sshdPAM, written, 0o644))
	s.reload()
	check := func() (string, int) {
		cmd := exec.Command(artefact("mfad"), "--check", "--config", s.path("mfa.toml"))
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := check(); status != 0 {
		t.Errorf("--check: %d\n%s", status, out)
	}
	ok(t, os.WriteFile(sshdPAM, []byte(without), 0o644))
	out, status := check()
	if status == 0 {
		t.Error("--check takes a promise that nobody keeps")
	}
	expectSaid(t, out, "lockout.force_password_change", sshdPAM, "account  required   pam_mfa.so")
	out, status = s.control("doctor", "--config", s.path("mfa.toml"), "sshd")
	if status == 0 {
		t.Error("doctor takes it")
	}
	expectSaid(t, out, "error    sshd: lockout.force_password_change is on", "account  required   pam_mfa.so")
}
