package file

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes a file of a test anew, in place.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Copytruncate leaves the file and its name; another program writes on in it. What is
// written before the next look is read whole, however much it is.
func TestTailOfAFileThatWasCutDown(t *testing.T) {
	for name, next := range map[string]string{
		"shorter":     "b\n",
		"as long":     "bbbb\ncccc\n",
		"longer":      "bbbb\ncccc\ndddd\n",
		"nothing yet": "",
		"half a line": "bbbb\ncc",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			put(t, path, "aaaa\naaab\n")
			tail, err := OpenTail(path)
			if err != nil {
				t.Fatal(err)
			}
			defer tail.Close()
			if err := tail.Skip(); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			look := func() {
				t.Helper()
				if err := tail.look(func(line string) error { got.WriteString(line); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			look()
			put(t, path, next)
			look()
			put(t, path, next+"\nlast\n")
			look()
			look()
			if want := next + "\nlast\n"; got.String() != want {
				t.Errorf("read %q, want %q", got.String(), want)
			}
		})
	}
}

// A file that is moved away is read to its end, also what comes late, before the one
// that has its place.
func TestTailOfAFileThatWasMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	put(t, path, "1\n")
	tail, err := OpenTail(path)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	var got strings.Builder
	line := func(line string) error { got.WriteString(line); return nil }
	steps := []func() error{
		func() error { return os.Rename(path, path+".1") },
		func() error { put(t, path, "3\n"); return nil },
		func() error { put(t, path+".1", "1\n2\n"); return nil }, // late
		func() error { put(t, path, "3\n4\n"); return nil },
	}
	for _, step := range steps {
		if err := errors.Join(tail.look(line), step()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tail.Follow(ctx, line); err != nil {
		t.Fatal(err)
	}
	if got.String() != "1\n2\n3\n4\n" {
		t.Errorf("read %q", got.String())
	}
}

// A caller that ends the reading at a line goes on behind that line.
func TestTailGoesOnBehindTheLineThatEndedIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	tail, err := ExpectTail(path)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	put(t, path, "1\n2\n3\n")
	var got []string
	stop := errors.New("enough")
	one := func(line string) error { got = append(got, line); return stop }
	for range 3 {
		if err := tail.Follow(t.Context(), one); !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	if strings.Join(got, "") != "1\n2\n3\n" {
		t.Errorf("read %q", got)
	}
}

func TestOpenTailWantsAFile(t *testing.T) {
	if _, err := OpenTail(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// Whatever is written into the file, and whenever it is looked at, each whole line is
// read once.
func FuzzTail(f *testing.F) {
	f.Add([]byte("a\nb"), []byte("c\n\n"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		path := filepath.Join(t.TempDir(), "log")
		put(t, path, string(first))
		tail, err := OpenTail(path)
		if err != nil {
			t.Fatal(err)
		}
		defer tail.Close()
		var got bytes.Buffer
		line := func(line string) error { got.WriteString(line); return nil }
		err = tail.look(line)
		all := append(bytes.Clone(first), second...)
		put(t, path, string(all))
		if err := errors.Join(err, tail.look(line), tail.look(line)); err != nil {
			t.Fatal(err)
		}
		if want := all[:bytes.LastIndexByte(all, '\n')+1]; !bytes.Equal(got.Bytes(), want) {
			t.Errorf("read %q, want %q", got.Bytes(), want)
		}
	})
}
