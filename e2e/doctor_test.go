package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// findings runs doctor on the private machine and returns the ids of its errors and
// warnings.
func (s *site) findings(services ...string) []string {
	s.t.Helper()
	out, _ := s.control(append([]string{"doctor", "--json", "--config", s.path("mfa.toml")}, services...)...)
	var report struct {
		Findings []struct{ Severity, ID string }
	}
	var ids []string
	ok(s.t, json.NewDecoder(strings.NewReader(out)).Decode(&report)) // a complaint follows
	for _, f := range report.Findings {
		if f.Severity != "ok" {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// doctor's words on real stacks, sshd and daemon agree with what these do.
func TestDoctorOnARealMachine(t *testing.T) {
	s, alice := debian(t)
	if got := s.findings("sshd"); !slices.Contains(got, "mfa-absent") {
		t.Errorf("before setup doctor finds %v", got)
	}
	s.setup("sshd", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	s.login(alice, 1)
	usual := []string{"clock", "fail2ban", "mail-outbox", "disk", "sshd-publickey-bypass", "break-glass", "admin-not-enrolled"}
	for _, id := range s.findings("sshd") {
		if !slices.Contains(usual, id) {
			out, _ := s.control("doctor", "--config", s.path("mfa.toml"), "sshd")
			t.Errorf("after setup doctor finds %s:\n%s", id, out)
		}
	}
	for name, tc := range map[string]struct{ file, text, want string }{
		"sshd is told no":        {"/etc/ssh/sshd_config.d/00-a.conf", "KbdInteractiveAuthentication no\n", "sshd-keyboard-interactive"},
		"some are past it":       {"/etc/ssh/sshd_config.d/00-a.conf", "Match User " + alice.name + "\n  UsePAM no\n", "sshd-config"},
		"some cannot be asked":   {"/etc/ssh/sshd_config.d/00-a.conf", "Match User " + alice.name + "\n  KbdInteractiveAuthentication no\n", "sshd-keyboard-interactive"},
		"sshd does not start":    {"/etc/ssh/sshd_config.d/00-a.conf", "NoSuchKeyword yes\n", "sshd-config"},
		"short of time":          {"/etc/ssh/sshd_config.d/00-a.conf", "LoginGraceTime 30\n", "sshd-grace"},
		"a wrong password sends": {sshdPAM, "auth required pam_unix.so\nauth required " + s.module() + "\n", "wrong-password-reaches-mfa"},
		"another socket":         {sshdPAM, "auth requisite pam_unix.so\nauth required pam_mfa.so\n", "socket-mismatch"},
		"no such module":         {sshdPAM, "auth requisite pam_unix.so\nauth required pam_none.so\nauth required " + s.module() + "\n", "locked-out"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := os.ReadFile(tc.file)
			ok(t, os.WriteFile(tc.file, []byte(tc.text), 0o644))
			if got := s.findings("sshd"); !slices.Contains(got, tc.want) {
				t.Errorf("doctor finds %v, want %s", got, tc.want)
			}
			if err != nil {
				ok(t, os.Remove(tc.file))
			} else {
				ok(t, os.WriteFile(tc.file, before, 0o644))
			}
		})
	}
	folder := s.path("run")
	ok(t, os.Chmod(folder, 0o777))
	if got := s.findings("sshd"); !slices.Contains(got, "socket-folder") {
		t.Errorf("doctor finds %v in a folder that all can write", got)
	}
	ok(t, os.Chmod(folder, 0o755))
	ok(t, s.stopDaemon())
	if got := s.findings("sshd"); !slices.Contains(got, "daemon") {
		t.Errorf("doctor finds %v without a daemon", got)
	}
}
