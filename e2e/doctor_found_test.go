package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// expectFound ends the test unless doctor finds what it should of the services, and,
// with a "!" before it, does not find what it should not.
func (s *site) expectFound(services []string, want ...string) {
	s.t.Helper()
	got := s.findings(services...)
	for _, id := range want {
		id, not := strings.CutPrefix(id, "!")
		if slices.Contains(got, id) == not {
			out, _ := s.control(append([]string{"doctor", "--config", s.path("mfa.toml")}, services...)...)
			s.t.Fatalf("doctor finds %v; want %v\n%s", got, want, out)
		}
	}
}

// giveAll gives the files below a folder to uid.
func giveAll(t *testing.T, dir string, uid int) {
	t.Helper()
	ok(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		ok(t, err)
		return os.Chown(path, uid, uid)
	}))
}

// Doctor, on a real machine, of things that it was silent or wrong about.
func TestDoctorFinds(t *testing.T) {
	s, alice := debian(t)
	s.setup("sshd", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	s.login(alice, 1)
	sshd := []string{"sshd"}

	t.Run("a user whose only method nobody carries", func(t *testing.T) {
		bob := newAccount(t, "bob")
		record := s.path("store/users/" + bob.name + ".toml")
		ok(t, os.WriteFile(record, fmt.Appendf(nil, "version = 1\nuid = %d\n[sms]\naddress = \"+17891234567\"\n", bob.uid), 0o600))
		s.expectFound(sshd, "method-without-provider")
		ok(t, os.Remove(record))
		s.expectFound(sshd, "!method-without-provider")
	})
	t.Run("people whose methods do not count", func(t *testing.T) {
		s.set(`policy.methods = ["totp"]`)
		s.writeConfig()
		s.expectFound(sshd, "policy-without", "!policy-out")
		expectSaid(t, s.check(), "1 have a second factor but none that counts")
		s.set("policy.enroll_at_login = false")
		s.writeConfig()
		s.expectFound(sshd, "policy-out")
		delete(s.settings, "policy.methods")
		delete(s.settings, "policy.enroll_at_login")
		s.writeConfig()
		s.expectFound(sshd, "!policy-without", "!policy-out")
	})
	t.Run("a sender that outside servers refuse", func(t *testing.T) {
		s.set(`email.transport = "smtp"`)
		s.writeConfig()
		s.expectFound(sshd, "mail-sender")
		expectSaid(t, s.check(), "mails come from mfa@"+hostName+", which outside servers refuse", "email.from")
		s.set(`email.from = "mfa@example.com"`)
		s.writeConfig()
		s.expectFound(sshd, "!mail-sender")
		s.set(`email.transport = "outbox"`)
		delete(s.settings, "email.from")
		s.writeConfig()
	})
	t.Run("sudo that asks nobody", func(t *testing.T) {
		const rule = "/etc/sudoers.d/e2e-nopasswd"
		s.stack("sudo", s.passwordThenCode()...)
		ok(t, os.WriteFile(rule, []byte(alice.name+" ALL=(ALL) NOPASSWD: ALL\n"), 0o440))
		s.expectFound([]string{"sudo"}, "sudo-nopasswd")
		ok(t, os.Remove(rule))
		s.expectFound([]string{"sudo"}, "!sudo-nopasswd")
	})
	t.Run("a program that is not root", func(t *testing.T) {
		passwd, err := os.ReadFile("/etc/passwd")
		ok(t, err)
		if !strings.Contains(string(passwd), "\npostgres:") {
			ok(t, appendFile("/etc/passwd", "postgres:x:29990:29990::/nonexistent:/bin/false"))
			defer func() { ok(t, os.WriteFile("/etc/passwd", passwd, 0o644)) }()
		}
		s.stack("postgresql", s.passwordThenCode()...)
		s.expectFound([]string{"postgresql"}, "not-root")
		s.set(`server.trusted_users = ["postgres"]`)
		s.writeConfig()
		s.expectFound([]string{"postgresql"}, "!not-root")
		delete(s.settings, "server.trusted_users")
		s.writeConfig()
		ok(t, os.Remove("/etc/pam.d/postgresql"))
	})
	t.Run("the code above the password", func(t *testing.T) {
		right, err := os.ReadFile(sshdPAM)
		ok(t, err)
		ok(t, os.WriteFile(sshdPAM, []byte("auth required "+s.module()+"\nauth required pam_unix.so\n"), 0o644))
		s.expectFound(sshd, "mfa-before-password")
		out, _ := s.control("doctor", "--config", s.path("mfa.toml"), "sshd")
		if strings.Contains(out, "password (pam_unix), then second factor") {
			t.Errorf("doctor says of it:\n%s", out)
		}
		ok(t, os.WriteFile(sshdPAM, right, 0o644))
		s.expectFound(sshd, "!mfa-before-password")
	})
	t.Run("no module where PAM looks", func(t *testing.T) {
		found, err := filepath.Glob("/usr/lib/*/security/pam_mfa.so")
		ok(t, err)
		if len(found) != 1 {
			t.Fatalf("modules: %v", found)
		}
		module, err := os.ReadFile(found[0])
		ok(t, err)
		ok(t, os.Remove(found[0]))
		s.expectFound(nil, "module-missing")
		ok(t, os.WriteFile(found[0], module, 0o644))
		s.expectFound(nil, "!module-missing")
	})
	t.Run("the folders of a daemon that does not run", func(t *testing.T) {
		ok(t, s.stopDaemon())
		defer s.startDaemon()
		passwd, err := os.ReadFile("/etc/passwd")
		ok(t, err)
		ok(t, appendFile("/etc/passwd", "mfa:x:29991:29991::/var/lib/mfa:/usr/sbin/nologin"))
		defer func() { ok(t, os.WriteFile("/etc/passwd", passwd, 0o644)) }()
		give := func(uid int) {
			giveAll(t, s.path("store"), uid)
			ok(t, os.Chown(s.path("key"), uid, uid))
		}
		defer give(0)
		give(29991)
		s.expectFound(sshd, "daemon", "!store-folder", "!key-file", "!state")
		give(29992)
		s.expectFound(sshd, "store-folder", "key-file")
		give(29991)
		state := s.path("store/state.db")
		ok(t, os.Rename(state, state+".kept"))
		s.expectFound(sshd, "state", "!store-folder")
		out, status := s.control("status", "--config", s.path("mfa.toml"))
		if status != 5 {
			t.Errorf("status %d", status)
		}
		expectSaid(t, out, "does not start", "state.db", "mfad --new-state", "mfactl doctor")
		ok(t, os.Rename(state+".kept", state))
		s.expectFound(sshd, "!state")
		out, _ = s.control("status", "--config", s.path("mfa.toml"))
		if strings.Contains(out, "state.db") {
			t.Errorf("status says of a daemon that was stopped:\n%s", out)
		}
	})
	t.Run("the files of a package alone are no fail2ban", func(t *testing.T) {
		if _, err := exec.LookPath("fail2ban-client"); err == nil {
			s.expectFound(sshd, "fail2ban") // it is there, and does not run
			return
		}
		ok(t, os.MkdirAll("/etc/fail2ban/jail.d", 0o755))
		ok(t, os.WriteFile("/etc/fail2ban/jail.d/mfa.conf", []byte("[mfa]\nenabled = false\n"), 0o644))
		s.expectFound(sshd, "!fail2ban")
	})
}
