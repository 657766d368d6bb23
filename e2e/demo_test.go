package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// demo returns the demo, to be run with everything installed and built.
func demo(t *testing.T, before ...string) *exec.Cmd {
	t.Helper()
	stage := exec.Command("go", "build", "-o", artefact("demo-stage"), "./packaging/demo/stage")
	stage.Dir, stage.Env = moduleRoot(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := stage.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := append(before, "/bin/sh", filepath.Join(moduleRoot(), "packaging", "demo", "demo.sh"))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEMO_BUILT=yes", "LC_ALL=C.UTF-8"}
	return cmd
}

// mounts returns what is mounted here.
func mounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	ok(t, err)
	return string(text)
}

func TestDemoPlaysEveryScene(t *testing.T) {
	before := mounts(t)
	out, err := demo(t).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expectSaid(t, string(out), "a mail arrives", "an authenticator app shows", "Backup codes", "Recovery code: ",
		"4 scenes passed, 0 failed", "nothing of this machine was changed")
	if after := mounts(t); after != before {
		t.Errorf("what is mounted was\n%s\nand is\n%s", before, after)
	}
}

// What arrives is above the prompt that waits for it, and the prompt is the last line.
func TestDemoByAPerson(t *testing.T) {
	c := open(t, demo(t))
	c.expect(t, `an authenticator app, with its QR code[^\0]*Your choice \[1\]: $`)
	c.send("9")
	c.expect(t, `no "9"[^\0]*Your choice \[1\]: $`)
	c.send("")
	c.expect(t, `Password: $`)
	c.send("demo")
	said := c.expect(t, `Your code: (\d+)[^\0]*\+---[^\0]*\nCode: $`)
	c.send(codeLine.FindStringSubmatch(strings.ReplaceAll(said, "| ", ""))[1])
	c.expect(t, `You are in: uid=[^\0]*let in, with a second factor[^\0]*Your choice \[1\]: $`)

	c.send("2")
	said = c.expect(t, `then press Enter: $`)
	if lines := strings.Count(said[strings.LastIndex(said, "# mfactl"):], "\n"); lines > 23 {
		t.Errorf("the QR code and its question take %d lines, more than fit on a terminal", lines+1)
	}
	c.send("")
	c.expect(t, `Password: $`)
	c.send("demo")
	c.expect(t, `an authenticator app shows[^\0]*\+---[^\0]*\nCode: $`)
	for range 2 {
		c.send("000000")
		c.expect(t, `not right[^\0]*\nCode[^\n]*: $`)
	}
	c.send("000000")
	c.expect(t, `was not let in\.[^\0]*wrong code[^\0]*sshd says:\n[^\0]*Your choice \[1\]: $`)
	c.send("q")
	if _, status, err := c.finish(); err != nil || status != 1 {
		t.Errorf("after a login that was refused: status %d, %v", status, err)
	}
}

// A place that allows no mounts is told what it needs.
func TestDemoSaysWhatItNeeds(t *testing.T) {
	out, err := demo(t, "setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin").CombinedOutput()
	if err == nil {
		t.Fatalf("runs:\n%s", out)
	}
	expectSaid(t, string(out), "does not allow mounts", "SYS_ADMIN", "--privileged", "--cap-add SYS_ADMIN", "seccomp")
	out, err = demo(t, "setpriv", "--reuid", "65534", "--clear-groups").CombinedOutput()
	if err == nil {
		t.Fatalf("runs:\n%s", out)
	}
	expectSaid(t, string(out), "run as root")
}

// In a chroot "/" is no mount that could be made private: the demo runs all the same,
// on the other Debian, and mounts nothing that is seen outside.
func TestDemoInAChroot(t *testing.T) {
	root := debianFolder(otherDebian())
	if _, err := os.Stat(root + "/usr/sbin/sshd"); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skip("no other Debian: e2e/debian.sh needs the network and the package debootstrap, once")
		}
		t.Fatal(err)
	}
	chroot := func() (string, error) {
		cmd := demo(t)
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: root}, "/"
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	module := moduleRoot()
	ok(t, os.MkdirAll(root+module, 0o755))
	ok(t, mount(module, root+module, "", unix.MS_BIND, ""))
	t.Cleanup(func() { ok(t, unix.Unmount(root+module, unix.MNT_DETACH)) })
	out, err := chroot()
	if err == nil {
		t.Errorf("runs without /proc:\n%s", out)
	}
	expectSaid(t, out, "mount -t proc proc /proc")

	ok(t, mount("proc", root+"/proc", "proc", 0, ""))
	t.Cleanup(func() { ok(t, unix.Unmount(root+"/proc", unix.MNT_DETACH)) })
	before := mounts(t)
	out, err = chroot()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expectSaid(t, out, "4 scenes passed, 0 failed")
	if after := mounts(t); after != before {
		t.Errorf("what is mounted was\n%s\nand is\n%s", before, after)
	}
}
