package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readme returns the lines of the block that follows the comment <!-- name -->
// in docs/install.md.
func manual(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(), "docs", "install.md"))
	ok(t, err)
	m := regexp.MustCompile("<!-- " + regexp.QuoteMeta(name) + " -->\n *```\n((?s).*?)\n *```").FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("docs/install.md has no block %q", name)
	}
	var lines []string
	for line := range strings.Lines(m[1]) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// manualSite runs what docs/install.md says: its lines for PAM, naming our module,
// and its lines for sshd.
func manualSite(t *testing.T, pam string, sshd ...string) (*site, account) {
	t.Helper()
	s := newSite(t)
	var auth, conf []string
	for _, line := range manual(t, pam) {
		auth = append(auth, strings.Replace(line, "pam_mfa.so", s.module(), 1))
	}
	for _, name := range sshd {
		conf = append(conf, manual(t, name)...)
	}
	s.stack("sshd", auth...)
	s.startDaemon()
	s.sshd(conf...)
	return s, s.newUser("alice")
}

func TestManualPasswordAndCode(t *testing.T) {
	s, alice := manualSite(t, "pam.d: password and code", "sshd_config: password and code")
	s.login(alice, 1)
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send("not-" + password)
	c.expectOut(t)
	s.expectLetters(alice, 1)
}

func TestManualKeyAndCode(t *testing.T) {
	s, alice := manualSite(t, "pam.d: key and code", "sshd_config: password and code", "sshd_config: key and code")
	const keyFirst = "PreferredAuthentications=publickey,keyboard-interactive"
	c := s.ssh(alice, keyFirst)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectIn(t)

	s.settings["policy.mode"] = `"off"`
	s.restartDaemon()
	s.ssh(alice, keyFirst).expectIn(t) // exempt=success
}

func TestManualPasswordTriedFirst(t *testing.T) {
	s := newSite(t)
	lines := manual(t, "pam.d: password tried first")
	lines[0] = strings.Replace(lines[0], "pam_mfa.so", s.module(), 1)
	s.stack("sshd", append([]string{"@include common-auth"}, lines...)...)
	s.startDaemon()
	s.sshd("PasswordAuthentication yes")
	alice := s.newUser("alice")
	c := s.ssh(alice, "PreferredAuthentications=password,keyboard-interactive")
	c.expect(t, `'s password: $`)
	c.send(password)
	c.expect(t, `\) Password: $`)
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectIn(t)
}
