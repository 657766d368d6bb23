package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unit runs the guest at each boot, and takes the system down behind it.
const unit = `[Unit]
After=multi-user.target ssh.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/mfa-test/guest
StandardOutput=append:/mfa-test/log
StandardError=append:/mfa-test/log
TimeoutStartSec=900
[Install]
WantedBy=default.target
`

// TestDebian goes through the life of the package on both Debians: install, switch
// on, log in, restart, upgrade, reboot, remove, purge (guest/main.go).
func TestDebian(t *testing.T) {
	old := dist(t, "amd64.deb")
	next := nextVersion(t, old)
	program := build(t, "./guest", "CGO_ENABLED=0")
	for _, release := range []string{"bookworm", "trixie"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			here := system(t, release)
			furnish(t, here, program, old)
			install(t, here+"/mfa-test/new.deb", next, 0o644)
			write(t, here+"/mfa-test/new.version", version(t, next))
			live(t, here)
		})
	}
}

// TestHosts lets every kind of program load the module, in Debian sid, whose sshd
// is the newest there is.
func TestHosts(t *testing.T) {
	here := system(t, "sid", "vsftpd", "postgresql", "login", "util-linux")
	furnish(t, here, build(t, "./guest", "CGO_ENABLED=0"), dist(t, "amd64.deb"))
	install(t, here+"/mfa-test/threads", build(t, "./threads", "CGO_ENABLED=1"), 0o755)
	live(t, here)
}

// build builds a program that runs within a system.
func build(t *testing.T, folder, env string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(folder))
	cmd := exec.Command("go", "build", "-o", program, folder)
	cmd.Env = append(os.Environ(), env)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return program
}

// furnish puts the guest and the package into a system.
func furnish(t *testing.T, here, program, deb string) {
	t.Helper()
	install(t, here+"/mfa-test/guest", program, 0o755)
	install(t, here+"/mfa-test/old.deb", deb, 0o644)
	write(t, here+"/mfa-test/old.version", version(t, deb))
	write(t, here+"/etc/systemd/system/package-test.service", unit)
	say(t, time.Minute, "systemctl", "--root="+here, "enable", "package-test.service")
}

// live boots a system until the guest is done with it, and wants all to be well. More are
// options of systemd-nspawn.
func live(t *testing.T, here string, more ...string) {
	t.Helper()
	for range 2 {
		t.Log(say(t, 15*time.Minute, "./boot.sh", append([]string{here}, more...)...))
		if _, err := os.Stat(here + "/mfa-test/result"); err == nil {
			break
		}
	}
	t.Log(read(t, here+"/mfa-test/log"))
	if result := read(t, here+"/mfa-test/result"); result != "ok" {
		t.Error(result)
	}
}

// version returns that of a package as mfactl says it.
func version(t *testing.T, deb string) string {
	t.Helper()
	said := strings.TrimSpace(say(t, time.Minute, "dpkg-deb", "-f", deb, "Version"))
	return strings.TrimSuffix(said, "-1")
}

// nextVersion builds the same program as a higher version.
func nextVersion(t *testing.T, deb string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "next")
	cmd := exec.Command(root+"/packaging/build.sh", out, "amd64")
	cmd.Env = append(os.Environ(), "VERSION="+version(t, deb)+"+next", "WORK="+t.TempDir())
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	found, err := filepath.Glob(out + "/*.deb")
	if err != nil || len(found) != 1 {
		t.Fatalf("built %v, %v", found, err)
	}
	return found[0]
}
