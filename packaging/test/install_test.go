package packages

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// installed is what "make install" brings, below PREFIX and beside it.
var installed = []string{
	"PREFIX/sbin/mfad", "PREFIX/bin/mfactl",
	"PREFIX/share/man/man1/mfactl.1", "PREFIX/share/man/man5/mfa.toml.5", "PREFIX/share/man/man7/mfa-programs.7",
	"PREFIX/share/man/man8/mfad.8", "PREFIX/share/man/man8/pam_mfa.8",
	"PREFIX/share/bash-completion/completions/mfactl", "PREFIX/share/zsh/site-functions/_mfactl",
	"PREFIX/share/fish/vendor_completions.d/mfactl.fish",
	"PREFIX/lib/systemd/system/mfad.service", "PREFIX/lib/systemd/system/mfad.socket",
	"PREFIX/lib/sysusers.d/mfa.conf", "PREFIX/lib/tmpfiles.d/mfa.conf",
	"/etc/mfa/mfa.toml.example", "/etc/logrotate.d/mfa",
	"/etc/fail2ban/filter.d/mfa.conf", "/etc/fail2ban/jail.d/mfa.conf",
}

// TestMakeInstall wants "make install" to bring all that a package brings but the
// papers and what is of one distribution, and nothing that it does not name.
func TestMakeInstall(t *testing.T) {
	tree := sources(t)
	for _, prefix := range []string{"/usr/local", "/opt/mfa"} {
		t.Run(prefix, func(t *testing.T) {
			to := t.TempDir()
			say(t, 10*time.Minute, "make", "-C", tree, "install", "DESTDIR="+to, "PREFIX="+prefix, "VERSION=1.2.3")
			want := map[string]bool{}
			for _, path := range installed {
				want[strings.Replace(path, "PREFIX", prefix, 1)] = true
			}
			for path := range strings.Lines(say(t, time.Minute, "find", to, "-type", "f", "-printf", "/%P\n")) {
				path = strings.TrimSpace(path)
				if !want[path] && !strings.HasSuffix(path, "/security/pam_mfa.so") {
					t.Errorf("also brings %s", path)
				}
				delete(want, path)
			}
			for path := range want {
				t.Errorf("no %s", path)
			}
			expectToRun(t, to, prefix)
		})
	}
}

// expectToRun wants the files below the folder to be what their readers take.
func expectToRun(t *testing.T, to, prefix string) {
	t.Helper()
	if said := say(t, time.Minute, to+prefix+"/bin/mfactl", "--version"); !strings.Contains(said, "1.2.3") {
		t.Errorf("mfactl is version %s", said)
	}
	modules, err := filepath.Glob(to + "/*/*/security/pam_mfa.so")
	if more, _ := filepath.Glob(to + "/lib*/security/pam_mfa.so"); err != nil || len(modules)+len(more) != 1 {
		t.Errorf("modules: %v, %v, %v", modules, more, err)
	}
	for path, text := range map[string]string{
		prefix + "/share/bash-completion/completions/mfactl":    "complete ",
		prefix + "/share/zsh/site-functions/_mfactl":            "#compdef mfactl",
		prefix + "/share/fish/vendor_completions.d/mfactl.fish": "complete -c mfactl",
		"/etc/logrotate.d/mfa":                                  "/var/log/mfa/audit.jsonl",
		"/etc/fail2ban/filter.d/mfa.conf":                       "[Definition]",
		"/etc/fail2ban/jail.d/mfa.conf":                         "filter",
	} {
		if data, err := os.ReadFile(to + path); err != nil || !strings.Contains(string(data), text) {
			t.Errorf("%s has no %q: %v", path, text, err)
		}
	}
	unit := read(t, to+prefix+"/lib/systemd/system/mfad.service")
	for _, line := range regexp.MustCompile(`(?m)^Exec\w+=\W*(/\S+)`).FindAllStringSubmatch(unit, -1) {
		if info, err := os.Stat(to + line[1]); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v", line[0], err)
		}
	}
}
