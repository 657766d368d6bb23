package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mfa/internal/store"
)

func TestSecondDaemonIsRefused(t *testing.T) {
	s := newStore(t)
	_, err := Open(s.dir, aKey)
	wantText(t, err, fmt.Sprintf("%q is in use by another daemon, process %d", s.dir, os.Getpid()))
	// The refusal takes nothing from the first.
	enroll(t, s, "alice", "x")
	_, err = Open(s.dir, aKey)
	wantText(t, err, fmt.Sprintf("process %d", os.Getpid()))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, s.dir)
}

// Where somebody removed the lock file, a second daemon is refused by the database, and the
// first one goes on.
func TestSecondDaemonWithoutTheLockFile(t *testing.T) {
	s := newStore(t)
	if err := os.Remove(filepath.Join(s.dir, "lock")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(s.dir, aKey)
	wantText(t, err, "is in use by another program")
	removed := os.Remove(filepath.Join(s.dir, "lock"))
	_, err = NewState(s.dir, time.Now())
	wantText(t, err, "is in use by another program")
	if _, err := os.Stat(filepath.Join(s.dir, "lock")); removed != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file: %v, %v", removed, err)
	}
	enroll(t, s, "alice", "x")
	if err := errors.Join(s.lock.lost(), s.Check(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		make func(dir string) error
		want string
	}{
		"group may write": {func(dir string) error { return os.Chmod(dir, 0o770) }, "chmod go-w"},
		"others may write": {func(dir string) error {
			return os.Chmod(dir, 0o777|os.ModeSticky)
		}, "chmod go-w"},
		"users writable": {func(dir string) error {
			users := filepath.Join(dir, "users")
			return errors.Join(os.Mkdir(users, 0o700), os.Chmod(users, 0o777))
		}, "users"},
		"a file": {func(dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		}, "is not a folder"},
		"garbage in the database": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "state.db"), make([]byte, 1<<16), 0o600)
		}, "state.db"},
		"database writable": {func(dir string) error {
			path := filepath.Join(dir, "state.db")
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666))
		}, "chmod go-w"},
		"lock is a link": {func(dir string) error {
			return os.Symlink("/dev/null", filepath.Join(dir, "lock"))
		}, "lock"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mfa")
			if err := errors.Join(os.Mkdir(dir, 0o700), test.make(dir)); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, aKey)
			wantText(t, err, test.want, dir)
			if err == nil {
				_ = s.Close()
			}
			// A refused Open holds no lock.
			_, again := Open(dir, aKey)
			if again == nil || again.Error() != err.Error() {
				t.Errorf("second Open: %v, first: %v", again, err)
			}
		})
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	needRoot(t, "only root can give a file away")
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 12345, -1)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, aKey)
	wantText(t, err, "belongs to uid 12345", "systemctl start mfad", "chown -R 0 "+dir)
}

func TestDatabaseCutShort(t *testing.T) {
	s := newStore(t)
	for i := range 64 {
		it := store.Item{Key: fmt.Sprintf("state/user%d", i), Value: make([]byte, 4096)}
		if _, err := s.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "state.db")
	if err := os.Truncate(path, 64<<10); err != nil {
		t.Fatal(err)
	}
	_, err := Open(s.dir, aKey)
	wantText(t, err, path, "cut short, 65536 of ")
}

func TestDatabaseInUse(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o700), os.Mkdir(filepath.Join(dir, "users"), 0o700)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, aKey)
	wantText(t, err, fmt.Sprintf("%q is in use by another program", path))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir)
}

func TestClosed(t *testing.T) {
	s := newStore(t)
	items := []store.Item{enroll(t, s, "alice", "one")}
	it, err := s.Put(t.Context(), store.Item{Key: "state/alice", Value: []byte("one")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, it := range append(items, it) {
		if _, err := s.Put(t.Context(), it); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Put(%q) after Close: %v", it.Key, err)
		}
		if err := s.Delete(t.Context(), it); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Delete(%q) after Close: %v", it.Key, err)
		}
	}
	if _, err := s.Get(t.Context(), "state/alice"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after Close: %v", err)
	}
}

func TestCheck(t *testing.T) {
	s := newStore(t)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	path := filepath.Join(s.dir, "state.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	wantText(t, s.Check(t.Context()), path)
}

func TestLocation(t *testing.T) {
	s := newStore(t)
	for key, want := range map[string]string{
		"users/../x":  filepath.Join(s.dir, "users/%2e.%2fx.toml"),
		"state/alice": filepath.Join(s.dir, "state.db") + ":state/alice",
		"nonsense":    "nonsense",
	} {
		if got := s.Location(key); got != want {
			t.Errorf("Location(%q) = %q, want %q", key, got, want)
		}
	}
}

// A start that the power cut short, before there was a database, leaves half of one under
// another name at most. Before, half of it stood in its place, and was refused as damaged.
func TestFirstStartThatWasCutShort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mfa")
	if err := openStore(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, stateFile)
	half := filepath.Join(dir, temporary+stateFile)
	if err := errors.Join(os.Truncate(path, 8192), os.Rename(path, half)); err != nil {
		t.Fatal(err)
	}
	if err := openStore(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a database is left: %v", err)
	}
}

// Whoever makes the lock file, it belongs to the owner of the folder: a daemon that could not read
// it would refuse everything.
func TestLockFileBelongsToTheDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	const nobody = 65534
	dir := t.TempDir()
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.release() })
	info, err := lock.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != nobody {
		t.Errorf("it belongs to %d", uid)
	}
}

// A file of root's that the owner of the folder linked into it stays root's.
func TestLockFileOfAnotherName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	dir := t.TempDir()
	roots := filepath.Join(t.TempDir(), "roots")
	err := errors.Join(os.Chown(dir, 65534, 65534), os.WriteFile(roots, nil, 0o600), os.Link(roots, filepath.Join(dir, "lock")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockFolder(dir)
	wantText(t, err, "has 2 names")
	if info, err := os.Stat(roots); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// Who waits for nobody at a FIFO, and follows no link, says what to do about what is no lock file.
func TestLockThatIsNoFile(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"FIFO":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"link":   func(path string) error { return os.Symlink("state.db", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"socket": func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mfa")
			if err := openStore(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			lock := filepath.Join(dir, "lock")
			if err := errors.Join(os.Remove(lock), put(lock)); err != nil {
				t.Fatal(err)
			}
			_, opened := Open(dir, aKey)
			_, anew := NewState(dir, time.Now())
			for what, err := range map[string]error{"open": opened, "check": CheckState(dir), "begin anew": anew} {
				if err == nil || !strings.Contains(err.Error(), lock) || !strings.Contains(err.Error(), "not a regular file: remove it") || strings.Contains(err.Error(), "stop it first") {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// An administrator who begins anew twice within a second keeps both.
func TestNewStateTwiceWithinASecond(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mfa")
	now := time.Now()
	seen := map[string]bool{}
	for range 3 {
		if err := openStore(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		aside, err := NewState(dir, now)
		if err != nil || aside == "" || seen[aside] {
			t.Fatalf("%q, %v", aside, err)
		}
		seen[aside] = true
	}
	if aside, err := NewState(dir, now); aside != "" || err != nil {
		t.Errorf("of none: %q, %v", aside, err)
	}
}
