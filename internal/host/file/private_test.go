package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Root reads what users wrote: no way of theirs leads it to another's file.
func TestReadPrivateRefuses(t *testing.T) {
	anybody := func(uint32) bool { return true }
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"link": {func(path string) error { return os.Symlink("secret", path) }, "symbolic link"},
		"pipe": {func(path string) error { return unix.Mkfifo(path, 0o600) }, "not a plain file"},
		"dir":  {func(path string) error { return os.Mkdir(path, 0o700) }, "not a plain file"},
		"open": {func(path string) error { return os.WriteFile(path, nil, 0o604) }, "mode 0604 is open to others"},
		"big":  {func(path string) error { return os.WriteFile(path, make([]byte, maxPrivate+1), 0o600) }, "more than 65536 bytes"},
		"hard": {func(path string) error { return os.Link(filepath.Join(filepath.Dir(path), "secret"), path) }, "hard link"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "file")
		if err := test.make(path); err != nil {
			t.Fatal(err)
		}
		_, err := ReadPrivate(path, anybody)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	path := filepath.Join(t.TempDir(), "file")
	if _, err := ReadPrivate(path, anybody); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivate(path, func(uint32) bool { return false }); err == nil || !strings.Contains(err.Error(), "belongs to uid") {
		t.Errorf("another's: %v", err)
	}
	if f, err := ReadPrivate(path, RootOrMe); err != nil || f.Text != "x" || int(f.Owner) != os.Geteuid() {
		t.Errorf("read %+v, %v", f, err)
	}
}

// Kernels without openat2(2) refuse the same.
func TestOpenStepwise(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.MkdirAll(dir+"/a/b", 0o700), os.WriteFile(dir+"/a/b/file", nil, 0o600),
		os.Symlink("a", dir+"/link"), os.Symlink("file", dir+"/a/b/last"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"/a/b/file": nil, "/link/b/file": unix.ELOOP, "/a/b/last": unix.ELOOP,
		"/a/c/file": unix.ENOENT, "/a/b/file/x": unix.ENOTDIR,
	} {
		fd, err := openStepwise(dir + path)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		f, same := openPlain(dir + path)
		if !errors.Is(same, want) {
			t.Errorf("%s: openat2 says %v, want %v", path, same, want)
		}
		if err == nil && same == nil {
			_ = errors.Join(unix.Close(fd), f.Close())
		}
	}
}

// A secret in a folder that is closed to others is closed, whatever its own mode says.
func TestOpenToAll(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "closed")
	path, link := filepath.Join(dir, "secret"), filepath.Join(top, "link")
	err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(path, nil, 0o644), os.Symlink(path, link)) //nolint:gosec // that is what is tried
	for d := top; err == nil && d != os.TempDir(); d = filepath.Dir(d) {
		err = os.Chmod(d, 0o711) //nolint:gosec // as above
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		folder, file os.FileMode
		want         bool
	}{{0o755, 0o644, true}, {0o711, 0o604, true}, {0o755, 0o640, false}, {0o750, 0o644, false}, {0o704, 0o644, false}} {
		if err := errors.Join(os.Chmod(dir, tc.folder), os.Chmod(path, tc.file)); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			if got := OpenToAll(p); got != tc.want {
				t.Errorf("%s of %o in %o: %v", p, tc.file, tc.folder, got)
			}
		}
	}
	if OpenToAll(filepath.Join(top, "none")) {
		t.Error("a file that is not there")
	}
}
