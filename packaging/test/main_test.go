package packages

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cache is where systems are kept between runs.
const cache = "/var/cache/mfa-packages"

// root is the folder of the module, seen from here.
const root = "../.."

// need skips where the test cannot run, but never in continuous integration.
func need(t *testing.T, what string, ok bool) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", what)
	}
	t.Skipf("needs %s", what)
}

// dist returns the one file of dist that ends so.
func dist(t *testing.T, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(root + "/dist/*" + suffix)
	if err != nil {
		t.Fatal(err)
	}
	need(t, "make packages: one dist/*"+suffix, len(found) == 1)
	return absolute(t, found[0])
}

// absolute returns the path from the root on.
func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// asRoot skips what only root can do.
func asRoot(t *testing.T) {
	t.Helper()
	need(t, "root", os.Geteuid() == 0)
}

// say runs a program within the time and returns what it says on both streams; it
// must end with 0.
func say(t *testing.T, limit time.Duration, name string, args ...string) string {
	t.Helper()
	said, err := attempt(t, limit, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
	}
	return said
}

func attempt(t *testing.T, limit time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// system returns a copy of a Debian, with more packages if they are named, that
// the test may change.
func system(t *testing.T, release string, more ...string) string {
	t.Helper()
	folder := fetched(t, release, release, more)
	copied := t.TempDir()
	say(t, 5*time.Minute, "cp", "-a", "--reflink=auto", folder+"/.", copied)
	return copied
}

// fetched returns the folder of a Debian with more packages, which has that name among the
// systems that are kept.
func fetched(t *testing.T, name, release string, more []string) string {
	t.Helper()
	asRoot(t)
	folder := filepath.Join(cache, name)
	said, err := attempt(t, 15*time.Minute, "./root.sh", append([]string{release, folder}, more...)...)
	if err != nil {
		t.Log(said)
	}
	need(t, "a Debian "+release+" (root.sh)", err == nil)
	return folder
}

// install copies a file into a system.
func install(t *testing.T, to, from string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, mode))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(data))
}
