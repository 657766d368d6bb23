package rights

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// Files are opened with the rights of the other user while the function runs, and with root's
// before, behind and beside it.
func TestAs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has the rights of others")
	}
	dir, err := os.MkdirTemp("/run", "rights")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	roots, groups := filepath.Join(dir, "roots"), filepath.Join(dir, "groups")
	err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(roots, nil, 0o600), os.WriteFile(groups, nil, 0o640), os.Chown(groups, 0, nobody))
	if err != nil {
		t.Fatal(err)
	}
	reads := func(path string) error { _, err := os.ReadFile(path); return err }
	var beside sync.WaitGroup
	for range 20 {
		beside.Go(func() {
			if err := As(nobody, func() error { return reads(roots) }); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("what root alone may read: %v", err)
			}
			if err := As(nobody, func() error { return reads(groups) }); err != nil {
				t.Errorf("what the group may read: %v", err)
			}
			if err := reads(roots); err != nil {
				t.Errorf("root, beside it: %v", err)
			}
		})
	}
	beside.Wait()
	if err := As(0, func() error { return reads(roots) }); err != nil {
		t.Errorf("root as root: %v", err)
	}
	if n, err := unix.Getgroups(); err != nil || len(n) == 1 && n[0] == nobody {
		t.Errorf("the groups of the process are %v, %v", n, err)
	}
	if OwnerOf(groups) != 0 || OwnerOf(filepath.Join(dir, "none")) != os.Geteuid() {
		t.Error("the owner is another")
	}
	if err := os.Chown(groups, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if got := OwnerOf(groups); got != nobody {
		t.Errorf("the owner is %d", got)
	}
}

// A uid without an account has no rights that could be taken.
func TestAsNobodyKnown(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has the rights of others")
	}
	called := false
	if err := As(54321, func() error { called = true; return nil }); err == nil || called {
		t.Errorf("%v, called: %v", err, called)
	}
}
