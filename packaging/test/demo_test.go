package packages

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// demoInContainer returns "make demo", built before, in a container of systemd-nspawn
// with what the other Debian has.
func demoInContainer(ctx context.Context, t *testing.T) *exec.Cmd {
	t.Helper()
	_, there := otherDebian(t)
	tree := absolute(t, root)
	_, err := os.Stat(tree + "/build/mfad")
	need(t, "make build", err == nil)
	stage := exec.CommandContext(ctx, "go", "build", "-o", tree+"/build/demo-stage", root+"/packaging/demo/stage")
	stage.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := stage.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return exec.CommandContext(ctx, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--machine=mfa-demo", "--console=pipe",
		"--directory="+there, "--bind="+tree, "/usr/bin/env", "DEMO_BUILT=yes", "LC_ALL=C.UTF-8", "/bin/sh", tree+"/packaging/demo/demo.sh")
}

// TestDemoInAContainer plays the demo where a container gives nothing beyond its usual
// rights. A person at a terminal plays it in the tests of e2e.
func TestDemoInAContainer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	said, err := demoInContainer(ctx, t).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "4 scenes passed, 0 failed") {
		t.Fatalf("%v\n%s", err, said)
	}
}
