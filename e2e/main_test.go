package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// inside marks, in the environment, the run within the namespaces.
const inside = "MFA_E2E_INSIDE"

// namespaces are what a private machine has of its own.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(runOutside())
	}
	if root := os.Getenv(withinRoot); root != "" {
		fmt.Fprintln(os.Stderr, "e2e: go on within", root+":", enterRoot(root))
		os.Exit(1)
	}
	if err := enterPrivateWorld(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: make the private world:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runOutside runs this binary again as process 1 of new namespaces and returns
// its exit status.
func runOutside() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: needs root, to have namespaces of its own and to run sshd")
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	if err := findArtefacts(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	fetchOtherDebian()
	// The kernel sends Pdeathsig when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "e2e: run in namespaces:", err)
		return 1
	}
}

// findArtefacts says what to do when something was not built.
func findArtefacts() error {
	for _, name := range []string{"mfad", "mfactl", "pam_mfa.so"} {
		if _, err := os.Stat(artefact(name)); err != nil {
			return fmt.Errorf("%w: run \"make build\" first", err)
		}
	}
	return nil
}

// artefact returns the absolute path of a file that "make build" makes.
func artefact(name string) string { return filepath.Join(tree, "build", name) }

// tree is the folder of go.mod, by a path that every user of the tests' world may take: a
// clone may lie in the home of root. Go runs in moduleRoot, where it knows what it built.
var tree = moduleRoot()

// moduleRoot returns the folder of go.mod, at or above the working folder.
func moduleRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	panic("e2e: no go.mod above the working folder")
}
