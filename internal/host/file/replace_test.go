package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// left are the names in a folder.
func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, test := range []struct {
		place Place
		text  string
		mode  fs.FileMode
	}{
		{Place{}, "one", 0o600},
		{Place{Mode: 0o644, Prefix: ".x-"}, "two", 0o644},
		{Place{Owner: &Owner{os.Geteuid(), os.Getegid()}}, "", 0o600},
	} {
		if err := test.place.Replace(path, []byte(test.text)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err := errors.Join(err, err2); err != nil || string(text) != test.text || info.Mode() != test.mode {
			t.Errorf("%q, mode %v, %v; want %q, %v", text, info.Mode(), err, test.text, test.mode)
		}
	}
	if names := left(t, dir); len(names) != 1 {
		t.Errorf("left %q", names)
	}
}

// A file that is new takes no other's name, and the temporary one goes.
func TestReplaceNew(t *testing.T) {
	dir, tmp := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "file")
	place := Place{New: true, Folder: tmp}
	if err := place.Replace(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := place.Replace(path, []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over one that is there: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "one" {
		t.Errorf("%q, %v", text, err)
	}
	if names := append(left(t, dir), left(t, tmp)...); len(names) != 1 {
		t.Errorf("left %q", names)
	}
}

// A file whose content cannot be written whole is not put into place.
func TestReplaceIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	put(t, path, "one")
	broken := errors.New("broken")
	err := Place{}.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "one" {
		t.Errorf("%q, %v", text, err)
	}
	if names := left(t, dir); len(names) != 1 {
		t.Errorf("left %q", names)
	}
}
