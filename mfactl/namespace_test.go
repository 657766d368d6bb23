package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// inside marks, in the environment, the run within a mount namespace.
const inside = "MFACTL_TEST_INSIDE"

// TestMain runs the tests again with mounts of their own, so that a script can
// have a disk that is full. Programs of the scripts, which are this binary under
// the name mfactl, run as they are.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "mfactl" && os.Geteuid() == 0 {
		if os.Getenv(inside) == "" {
			os.Exit(runInside())
		}
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			fmt.Fprintln(os.Stderr, "make the mounts private:", err)
			os.Exit(1)
		}
		if err := errors.Join(mountStacks(), mountRun()); err != nil {
			fmt.Fprintln(os.Stderr, "make PAM stacks and /run:", err)
			os.Exit(1)
		}
	}
	scryptWork = 10 // a passphrase costs a millisecond
	testscript.Main(m, map[string]func(){"mfactl": main})
}

// stacks are the PAM services of the machine that the scripts see, and a module that is there.
var stacks = map[string]string{
	"pam_mfa.so": "",
	"sshd":       "auth requisite pam_unix.so\nauth required /etc/pam.d/pam_mfa.so\n",
	"su":         "@include common-auth\n",
	"sudo":       "@include common-auth\n",
	"bypassed":   "auth sufficient pam_unix.so\nauth required /etc/pam.d/pam_mfa.so\n",
	"cut-short":  "auth required pam_unix.so \\",
	"session":    "session required pam_unix.so\n",

	"common-auth": "auth required pam_unix.so\n",
	"other":       "auth required pam_deny.so\n",
}

// mountStacks puts stacks in the place of this machine's.
func mountStacks() error {
	const folder = "/etc/pam.d"
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	for name, text := range stacks {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.Symlink("a-loop", filepath.Join(folder, "a-loop"))
}

// mountRun makes a /run of its own, as it is where sshd was started: "sshd -T" wants its folder.
func mountRun() error {
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	return os.Mkdir("/run/sshd", 0o755)
}

// runInside runs this binary again in a new mount namespace and returns its exit
// status.
func runInside() int {
	runtime.LockOSThread() // the kernel sends Pdeathsig when this thread ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run in a namespace:", err)
		return 1
	}
	return 0
}

// diskCommand gives the store a file system of its own:
//
//	disk small    before the daemon makes the store
//	disk fill     until not one byte fits
//	disk free     undo that
func diskCommand(ts *testscript.TestScript, neg bool, args []string) {
	store := ts.Getenv("STORE")
	fill := filepath.Join(store, "fill")
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: disk small|fill|free")
	case args[0] == "small":
		ts.Check(os.Mkdir(store, 0o700))
		ts.Check(syscall.Mount("tmpfs", store, "tmpfs", 0, "size=1m,mode=0700"))
		ts.Defer(func() { _ = syscall.Unmount(store, syscall.MNT_DETACH) })
	case args[0] == "fill":
		f, err := os.Create(fill)
		ts.Check(err)
		for err == nil {
			_, err = f.Write(make([]byte, 512))
		}
		_ = f.Close()
		if !errors.Is(err, syscall.ENOSPC) {
			ts.Fatalf("fill the disk: %v", err)
		}
	case args[0] == "free":
		ts.Check(os.Remove(fill))
	default:
		ts.Fatalf("usage: disk small|fill|free")
	}
}
