package delivertest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Program writes a shell script of that name into a folder of its own, and returns its
// path and the folder. In body the folder is DIR.
func Program(t *testing.T, name, body string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, name)
	script := "#!/bin/sh\n" + strings.ReplaceAll(body, "DIR", dir) + "\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

// Fifo makes a named pipe of which nobody reads the end until it is closed (fifo(7)).
func Fifo(t *testing.T, path string) *os.File {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
