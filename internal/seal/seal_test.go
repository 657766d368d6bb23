package seal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// load reads a key file as the daemon does that runs as the test.
func load(path string) (*Key, error) { return LoadFor(path, os.Geteuid(), "") }

func TestCreateThenLoadIsTheSameKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key")
	made, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	read, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	if read.Text() != made.Text() || read.ID() != made.ID() {
		t.Error("the key read is not the key made")
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v %v", left, err)
	}
}

func TestCreateNeverReplacesAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second Create: %v, want fs.ErrExist", err)
	}
	if now, err := load(path); err != nil || now.Text() != first.Text() {
		t.Errorf("the key changed: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	good := strings.Repeat("ab", keySize) + "\n"
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"open to group":  {good, 0o640, "chmod 0600"},
		"open to others": {good, 0o604, "chmod 0600"},
		"short":          {"abcd\n", 0o600, "not a key"},
		"long":           {good + good, 0o600, "not a key"},
		"not hex":        {strings.Repeat("zz", keySize) + "\n", 0o600, "not a key"},
		"empty":          {"", 0o600, "not a key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tc.text), tc.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := load(path); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Load: %v, want %q", err, tc.want)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		if _, err := load(filepath.Join(t.TempDir(), "key")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load: %v, want fs.ErrNotExist", err)
		}
	})
	t.Run("link", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Create(filepath.Join(dir, "real")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("real", filepath.Join(dir, "key")); err != nil {
			t.Fatal(err)
		}
		if _, err := load(filepath.Join(dir, "key")); err == nil {
			t.Error("a link was followed")
		}
	})
}

func TestMACSeparatesPurposesAndParts(t *testing.T) {
	k := newKey(ring{{1}})
	other := newKey(ring{{2}})
	base := k.MAC("a", []byte("bc"), []byte("d"))
	for name, mac := range map[string][]byte{
		"purpose":      k.MAC("b", []byte("bc"), []byte("d")),
		"part borders": k.MAC("a", []byte("b"), []byte("cd")),
		"fewer parts":  k.MAC("a", []byte("bcd")),
		"empty part":   k.MAC("a", []byte("bc"), []byte("d"), nil),
		"key":          other.MAC("a", []byte("bc"), []byte("d")),
	} {
		if bytes.Equal(base, mac) {
			t.Errorf("another %s gives the same hash", name)
		}
	}
	if !bytes.Equal(base, k.MAC("a", []byte("bc"), []byte("d"))) {
		t.Error("the same parts give another hash")
	}
}

// The command that an error tells names the user whose the file should be.
func TestChownTo(t *testing.T) {
	for uid, want := range map[int]string{0: "root", 998: "998"} {
		if got := chownTo(uid); got != want {
			t.Errorf("of uid %d: %q, want %q", uid, got, want)
		}
	}
}
