package deliver_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestModemDropInIsOneThatSystemdTakes holds the lines for a modem in the manual to
// systemd's own reading of them.
func TestModemDropInIsOneThatSystemdTakes(t *testing.T) {
	manual, err := os.ReadFile("../../packaging/man/mfa.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)\.Bd -literal -offset indent\n(\[Service\]\nPrivateDevices.*?)\.Ed`).FindSubmatch(manual)
	if m == nil {
		t.Fatal("mfa.toml(5) has no lines for a modem")
	}
	for _, want := range []string{"PrivateDevices=no", "DeviceAllow=/dev/", "SupplementaryGroups=dialout"} {
		if !regexp.MustCompile(want).Match(m[1]) {
			t.Errorf("the lines lack %s", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	unit := filepath.Join(dir, "mfa-modem.service")
	text := append([]byte("[Unit]\nDescription=test\n"), m[1]...)
	if err := os.WriteFile(unit, append(text, "ExecStart=/bin/true\nUser=daemon\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || regexp.MustCompile(`mfa-modem`).Match(out) {
		t.Errorf("%v: %s", err, out)
	}
}
