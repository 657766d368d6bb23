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
	program := filepath.Join(t.TempDir(), "guest")
	build := exec.Command("go", "build", "-o", program, "./guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, release := range []string{"bookworm", "trixie"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			here := system(t, release)
			install(t, here+"/mfa-test/guest", program, 0o755)
			install(t, here+"/mfa-test/old.deb", old, 0o644)
			install(t, here+"/mfa-test/new.deb", next, 0o644)
			write(t, here+"/mfa-test/old.version", version(t, old))
			write(t, here+"/mfa-test/new.version", version(t, next))
			write(t, here+"/etc/systemd/system/package-test.service", unit)
			say(t, time.Minute, "systemctl", "--root="+here, "enable", "package-test.service")
			for range 2 {
				t.Log(say(t, 15*time.Minute, "./boot.sh", here))
				if _, err := os.Stat(here + "/mfa-test/result"); err == nil {
					break
				}
			}
			t.Log(read(t, here+"/mfa-test/log"))
			if result := read(t, here+"/mfa-test/result"); result != "ok" {
				t.Error(result)
			}
		})
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
