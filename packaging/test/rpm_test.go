package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRPMHolds(t *testing.T) {
	for _, a := range architectures {
		rpm := dist(t, a.rpm+".rpm")
		list := say(t, time.Minute, "rpm", "-qpl", rpm) + "\n"
		for _, path := range append(wanted, "/usr/lib64/security/pam_mfa.so", "/usr/share/licenses/mfa/LICENSE",
			"/usr/lib/systemd/system-preset/50-mfa.preset", "/usr/share/zsh/site-functions/_mfactl") {
			if !strings.Contains(list, path+"\n") {
				t.Errorf("%s: no %s", rpm, path)
			}
		}
		for _, others := range []string{"/usr/bin", "/usr/lib64/security", "/usr/share/selinux", "/etc", "/etc/pam.d"} {
			if strings.Contains("\n"+list, "\n"+others+"\n") {
				t.Errorf("%s owns %s, which is not ours", rpm, others)
			}
		}
		if conf := say(t, time.Minute, "rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]", rpm); !strings.Contains(conf, "/etc/mfa/mfa.toml cn\n") {
			t.Errorf("mfa.toml is not config(noreplace):\n%s", conf)
		}
		requires := say(t, time.Minute, "rpm", "-qp", "--requires", rpm)
		for _, want := range []string{"libc.so.6(GLIBC_2.34)(64bit)", "libpam.so.0(LIBPAM_1.0)(64bit)", "systemd"} {
			if !strings.Contains(requires, want+"\n") {
				t.Errorf("%s does not require %s:\n%s", rpm, want, requires)
			}
		}
	}
}

// TestRPM installs, upgrades and removes the rpm in a root with an rpm database of
// its own. What it requires is Debian's there, which that database does not know.
func TestRPM(t *testing.T) {
	here := system(t, "bookworm")
	rpm := dist(t, "x86_64.rpm")
	install(t, here+"/mfa.rpm", rpm, 0o644)
	do := func(args ...string) (string, error) {
		return attempt(t, 3*time.Minute, "rpm", append([]string{"--root", here, "--nodeps"}, args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		said, err := do(args...)
		if err != nil || strings.Contains(said, "scriptlet failed") {
			t.Fatalf("rpm %v: %v\n%s", args, err, said)
		}
		return said
	}
	stacks := say(t, time.Minute, "sh", "-c", `cd "$1" && find etc/pam.d etc/ssh -type f | sort | xargs sha256sum`, "sh", here)

	must("-i", here+"/mfa.rpm")
	must("-V", "mfa")
	if users := read(t, here+"/etc/passwd"); !strings.Contains(users, "mfa:x:") {
		t.Errorf("no user mfa:\n%s", users)
	}
	for _, link := range []string{"sockets.target.wants/mfad.socket", "multi-user.target.wants/mfad.service"} {
		if _, err := os.Lstat(here + "/etc/systemd/system/" + link); err != nil {
			t.Errorf("not enabled: %v", err)
		}
	}
	if now := say(t, time.Minute, "sh", "-c", `cd "$1" && find etc/pam.d etc/ssh -type f | sort | xargs sha256sum`, "sh", here); now != stacks {
		t.Errorf("logins are no longer what they were:\n%s", now)
	}

	write(t, here+"/etc/mfa/mfa.toml", "[policy]\nmode = \"optional\"\n")
	must("-U", "--force", here+"/mfa.rpm")
	if text := read(t, here+"/etc/mfa/mfa.toml"); !strings.Contains(text, "optional") {
		t.Errorf("the upgrade replaced mfa.toml:\n%s", text)
	}

	stack := read(t, here+"/etc/pam.d/sshd")
	write(t, here+"/etc/pam.d/sshd", stack+"\nauth required pam_mfa.so\n")
	said, err := do("-e", "mfa")
	if err == nil || !strings.Contains(said, "/etc/pam.d/sshd:") || !strings.Contains(said, "auth required pam_mfa.so") {
		t.Errorf("removed while a login needs it: %v\n%s", err, said)
	}
	say(t, time.Minute, "rpm", "--root", here, "-q", "mfa")
	write(t, here+"/etc/pam.d/sshd", stack+"\n")
	must("-e", "mfa")
	for _, pattern := range []string{"/usr/*bin/mfa*", "/usr/lib64/security/pam_mfa.so", "/usr/lib/systemd/system/mfad.*", "/etc/systemd/system/*/mfad.*", "/run/mfa"} {
		if left, _ := filepath.Glob(here + pattern); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if text := read(t, here+"/etc/mfa/mfa.toml.rpmsave"); !strings.Contains(text, "optional") {
		t.Errorf("mfa.toml.rpmsave: %s", text)
	}
}
