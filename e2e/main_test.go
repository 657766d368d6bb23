package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// inside marks, in the environment, the run within the namespaces.
const inside = "MFA_E2E_INSIDE"

// namespaces are what a private machine has of its own.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

func TestMain(m *testing.M) {
	switch os.Getenv(inside) {
	case "":
		os.Exit(runOutside())
	case "list":
		os.Exit(m.Run()) // nothing runs
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
