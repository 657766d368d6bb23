package app

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mfa/internal/config"
)

// ownMounts runs a test again, in a process with mounts of its own. Only root can.
func ownMounts(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	const inside = "MFA_TEST_OWN_MOUNTS"
	if os.Getenv(inside) != "" {
		test(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fillUp writes a file that takes all the room of a folder's file system, and returns its name.
func fillUp(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := errors.Join(f.Close(), zeros.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// Where the host's own disk is full, etcd decides as before. Without etcd wrong codes count, and
// lock in the fleet as well when it is back: guesses are never without number. With room again all goes on, also where mfad was started on the full disk.
func TestOfflineFullDisk(t *testing.T) { ownMounts(t, offlineFullDisk) }

func offlineFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	f := newOfflineFleet(t, 1, func(c *config.Config) { c.Store.Path = filepath.Join(disk, "store") })
	a := f.hosts[0]
	f.accepts(t, a, "online", spender{app: f.app(t, 0)})
	awaitKept(t, a, 1)
	fill := fillUp(t, disk)
	var spent string
	for range 20 { // more than the host's disk takes
		f.pass(time.Minute)
		spent = f.app(t, 0)
		f.accepts(t, a, "online, on a full disk", spender{app: spent})
	}

	f.cut(t, a)
	f.refuses(t, a, "a code that was taken with etcd", spender{app: spent}, "")
	f.pass(2 * time.Minute)
	for range 40 { // more than may be wrong, and more than the disk takes
		if v := attempt(t, a, f.user, spender{app: f.wrong(t)}); !v.Refuses() {
			t.Fatalf("wrong, without etcd, on a full disk: %+v", v)
		}
		f.pass(time.Second)
	}
	f.refuses(t, a, "the right code behind them", spender{app: f.app(t, 0)}, "")

	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	f.mend(t, a)
	await(t, "what is owed is written", func() bool { return a.recordsNow().PayOwed(t.Context()) == nil })
	f.locked(t, a)
	f.pass(time.Hour)
	f.accepts(t, a, "with room, and etcd", spender{app: f.app(t, 0)})

	fill = fillUp(t, disk)
	a = f.restart(t, 0, nil)
	f.pass(time.Minute)
	f.accepts(t, a, "started on a full disk", spender{app: f.app(t, 0)})
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	awaitKept(t, f.restart(t, 0, nil), 1)
	if err := f.hosts[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Unmount(disk, 0); err != nil {
		t.Fatal(err)
	}
}
