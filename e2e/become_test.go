package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// become runs Debian's ansible as a, in a terminal, on a host that is this machine:
// one command as root through sudo. The connection is local, or ssh to this sshd.
func (s *site) become(a account, host string, extra ...string) *terminal {
	s.t.Helper()
	inventory := filepath.Join(a.home, "hosts")
	ok(s.t, os.WriteFile(inventory, []byte("local ansible_connection=local\nbox\n[all:vars]\nansible_python_interpreter=/usr/bin/python3\n"), 0o644))
	args := []string{"timeout", "60", "ansible", host, "-i", inventory, "--timeout", "3", "-b", "-K", "-m", "command", "-a", "sh -c '" + greet + "'"}
	c := s.as(a, append(args, extra...)...)
	c.expect(s.t, `BECOME password: $`)
	c.send(password)
	return c
}

// sudoDefaults puts a line into sudoers(5) until the test ends.
func sudoDefaults(t *testing.T, line string) {
	t.Helper()
	const name = "/etc/sudoers.d/passprompt"
	ok(t, os.WriteFile(name, []byte(line+"\n"), 0o440))
	t.Cleanup(func() { _ = os.Remove(name) })
}

// Sudo -p puts its own prompt in the place of ours, unless sudoers says not to, as
// doctor says.
func TestSudoWithAPromptOfItsOwn(t *testing.T) {
	s := newSite(t)
	s.stack("sudo", s.passwordThenCode()...)
	s.startDaemon()
	alice := s.newUser("alice")
	maySudo(t, alice)
	found := func() bool { return slices.Contains(s.findings("sudo"), "sudo-prompt") }

	c := s.as(alice, "sudo", "-p", "custom: ", "sh", "-c", greet)
	c.expect(t, `^custom: $`)
	c.send(password)
	c.expect(t, `^\ncustom: $`)
	c.send(s.code(alice, 1))
	c.expectIn(t)
	if !found() {
		t.Error("doctor does not find it")
	}
	sudoDefaults(t, "Defaults !passprompt_override")
	c = s.as(alice, "sudo", "-p", "custom: ", "sh", "-c", greet)
	c.expect(t, `^custom: $`)
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 2))
	c.expectIn(t)
	if found() {
		t.Error("doctor still finds it")
	}
}

// Ansible answers one prompt of sudo, and no second. The rule of the manual leaves its
// account out in sudo, and nobody else.
func TestAnsibleBecome(t *testing.T) {
	s := newSite(t)
	s.stack("sudo", s.passwordThenCode()...)
	s.stack("sshd", s.codeOnly()...)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey")
	deploy, alice := s.newUser("deploy"), s.newUser("alice")
	s.keyed(deploy)
	maySudo(t, deploy)
	maySudo(t, alice)
	for _, line := range []string{"Defaults passprompt_override", "Defaults !passprompt_override"} {
		sudoDefaults(t, line)
		s.become(deploy, "box").expectOut(t)
	}
	s.expectFailures(deploy, 0)
	before, err := s.letters(deploy.email)
	ok(t, err)

	s.settings["policy.rule"] = fmt.Sprintf(`[{name = "ansible", users = [%q], services = ["sudo"], mode = "off"}]`, deploy.name)
	s.reload()
	for _, host := range []string{"local", "box"} {
		expectSaid(t, s.become(deploy, host).expectIn(t), "CHANGED", "as root")
	}
	s.expectLetters(deploy, len(before))
	c := s.sudo(alice)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectIn(t)
}
