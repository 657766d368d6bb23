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

// A uid without an account has its own files, and no rights by a group.
func TestAsUIDWithoutAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has the rights of others")
	}
	const uid = 54321
	dir := t.TempDir()
	own, groups := filepath.Join(dir, "own"), filepath.Join(dir, "groups")
	err := errors.Join(os.WriteFile(own, nil, 0o600), os.Chown(own, uid, 0), os.WriteFile(groups, nil, 0o040))
	for d := dir; err == nil && d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		err = os.Chmod(d, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = As(uid, func() error {
		if err := May(groups, unix.R_OK); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a file of root's group: %v", err)
		}
		if err := May(own, unix.R_OK|unix.X_OK); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("its file, to run it: %v", err)
		}
		if err := May(filepath.Join(dir, "none"), unix.R_OK); err != nil {
			t.Errorf("no file: %v", err)
		}
		return May(own, unix.R_OK|unix.W_OK)
	})
	if err != nil {
		t.Errorf("its file: %v", err)
	}
}

// A program is run with the rights of the other user, and a folder by nobody.
func TestMayRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has the rights of others")
	}
	dir := t.TempDir()
	all, roots, text := filepath.Join(dir, "all"), filepath.Join(dir, "roots"), filepath.Join(dir, "text")
	err := errors.Join(os.WriteFile(all, nil, 0o755), os.WriteFile(roots, nil, 0o700), os.WriteFile(text, nil, 0o644)) //nolint:gosec // programs
	for d := dir; err == nil && d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		err = os.Chmod(d, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]error{ // of root, of the other
		all:                        {},
		roots:                      {nil, fs.ErrPermission},
		text:                       {fs.ErrPermission, fs.ErrPermission},
		dir:                        {unix.EISDIR, unix.EISDIR},
		filepath.Join(dir, "none"): {fs.ErrNotExist, fs.ErrNotExist},
	} {
		for i, uid := range []int{0, nobody} {
			if err := As(uid, func() error { return MayRun(path) }); !errors.Is(err, want[i]) {
				t.Errorf("uid %d, %s: %v, want %v", uid, path, err, want[i])
			}
		}
	}
}
