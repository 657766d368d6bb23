package local

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mfa/internal/store"
)

// enroll puts an enrollment for user.
func enroll(t *testing.T, s *Store, user, text string) store.Item {
	t.Helper()
	it, err := s.Put(t.Context(), store.Item{Key: store.Users + user, Value: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// edit writes the file of user as an administrator would.
func edit(t *testing.T, s *Store, user, text string) {
	t.Helper()
	if err := os.WriteFile(s.Location(store.Users+user), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEnrollmentIsAPlainFile(t *testing.T) {
	s := newStore(t)
	it := enroll(t, s, "alice", "one")
	path := filepath.Join(s.dir, "users", "alice.toml")
	if got := s.Location(it.Key); got != path {
		t.Errorf("Location = %q, want %q", got, path)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "one" {
		t.Errorf("file holds %q, %v", text, err)
	}
	for path, want := range map[string]os.FileMode{
		path:                             0o600,
		s.dir:                            os.ModeDir | 0o700,
		filepath.Join(s.dir, "users"):    os.ModeDir | 0o700,
		filepath.Join(s.dir, "state.db"): 0o600,
		filepath.Join(s.dir, "lock"):     0o600,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("mode of %s = %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestHandEditCountsAtOnce(t *testing.T) {
	s := newStore(t)
	old := enroll(t, s, "alice", "one")
	edit(t, s, "alice", "two")
	it, err := s.Get(t.Context(), old.Key)
	if err != nil || string(it.Value) != "two" {
		t.Fatalf("Get = %q, %v", it.Value, err)
	}
	if _, err := s.Put(t.Context(), old); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put over an edit: %v", err)
	}
	edit(t, s, "bob", "new")
	if _, err := s.Put(t.Context(), store.Item{Key: "users/bob", Value: []byte("x")}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put over a file made by hand: %v", err)
	}
	if err := os.Remove(s.Location(old.Key)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), old.Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a removed file: %v", err)
	}
}

// A file that cannot be trusted is an error that names it, never "not enrolled".
func TestUntrustedFileIsRefused(t *testing.T) {
	tests := map[string]struct {
		make func(path string) error
		want string
	}{
		"link": {func(path string) error {
			target := filepath.Join(filepath.Dir(path), "..", "elsewhere")
			return errors.Join(os.WriteFile(target, []byte("x"), 0o600), os.Symlink(target, path))
		}, "symbolic link"},
		"dangling link": {func(path string) error { return os.Symlink("nowhere", path) }, "symbolic link"},
		"folder":        {func(path string) error { return os.Mkdir(path, 0o700) }, "plain file"},
		"pipe":          {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "plain file"},
		"too big": {func(path string) error {
			return os.WriteFile(path, make([]byte, maxFile+1), 0o600)
		}, "more than 65536 bytes"},
		"writable by group": {func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, 0o660))
		}, "chmod go-w"},
		"writable by all": {func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, 0o606))
		}, "chmod go-w"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			path := s.Location("users/alice")
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			_, err := s.Get(t.Context(), "users/alice")
			wantText(t, err, test.want, path)
			if errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v counts as not found", err)
			}
			if _, err := s.Put(t.Context(), store.Item{Key: "users/alice", Value: []byte("x")}); err == nil {
				t.Error("Put replaced it")
			}
		})
	}
}

func TestForeignFileIsRefused(t *testing.T) {
	needRoot(t, "only root can give a file away")
	s := newStore(t)
	enroll(t, s, "alice", "x")
	if err := os.Chown(s.Location("users/alice"), 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), "users/alice")
	wantText(t, err, "belongs to uid 12345", "chown 0 ")
}

func TestPutTooBig(t *testing.T) {
	s := newStore(t)
	_, err := s.Put(t.Context(), store.Item{Key: "users/alice", Value: make([]byte, maxFile+1)})
	wantText(t, err, "65537 bytes are more than 65536")
}

func TestKeysPassOverLeftovers(t *testing.T) {
	s := newStore(t)
	enroll(t, s, "alice", "x")
	for _, name := range []string{"alice.toml~", ".alice.toml.swp", "#alice.toml#", "alice.toml.tmp", ".new-1", "README"} {
		if err := os.WriteFile(filepath.Join(s.dir, "users", name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := s.Keys(t.Context(), "users/")
	if err != nil || !slices.Equal(keys, []string{"users/alice"}) {
		t.Errorf("Keys = %q, %v", keys, err)
	}
}

// A write leaves nothing behind, and what one left that was cut short goes at
// the next start.
func TestNothingIsLeftOfAWrite(t *testing.T) {
	s := newStore(t)
	it := enroll(t, s, "alice", "one")
	it.Value = []byte("two")
	if _, err := s.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(s.dir, "users", temporary+"123")
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, s.dir)
	entries, err := os.ReadDir(filepath.Join(s.dir, "users"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "alice.toml" {
		t.Errorf("folder holds %v, %v", entries, err)
	}
}

// With its folder gone or replaced the store does not know who is enrolled, and
// says so instead of "nobody".
func TestFolderGone(t *testing.T) {
	for _, replace := range []bool{false, true} {
		s := newStore(t)
		it := enroll(t, s, "alice", "one")
		users := filepath.Join(s.dir, "users")
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(users, users+".away"); err != nil {
			t.Fatal(err)
		}
		if replace {
			if err := os.Mkdir(users, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Get(t.Context(), it.Key)
		wantText(t, err, users)
		if errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v counts as not found", err)
		}
		if _, err := s.Keys(t.Context(), "users/"); err == nil {
			t.Error("Keys of a folder that is gone")
		}
		if _, err := s.Put(t.Context(), store.Item{Key: "users/bob"}); err == nil {
			t.Error("Put into a folder that is gone")
		}
		wantText(t, s.Check(t.Context()), users)
	}
}

// wantText checks that err holds all of texts.
func wantText(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
}
