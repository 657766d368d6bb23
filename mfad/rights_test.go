package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is the uid of the daemon here.
const nobody = 65534

// An owned is a folder with all that a daemon of nobody's has, which ran there once.
type owned struct {
	t   *testing.T
	dir string
}

func newOwned(t *testing.T) owned {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "mfad")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := owned{t, dir}
	text := fmt.Sprintf(goodConfig, o.path("run/pam.sock"), o.path("run/control.sock"), o.path("store"), o.path("key"), o.path("log/audit.jsonl"), o.path("outbox"))
	err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(o.path("mfa.toml"), []byte(text), 0o644)) //nolint:gosec // the daemon reads it
	for _, name := range []string{"run", "store", "log"} {
		err = errors.Join(err, os.Mkdir(o.path(name), 0o755), os.Chown(o.path(name), nobody, nobody)) //nolint:gosec // so in systemd's units
	}
	key := strings.Repeat("0a", 32) + "\n"
	err = errors.Join(err, os.WriteFile(o.path("key"), []byte(key), 0o600), os.Chown(o.path("key"), nobody, nobody), copyFile(o.path("mfad"), os.Args[0]))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o owned) path(name string) string { return filepath.Join(o.dir, name) }

// copyFile copies the test binary, which is mfad under that name, to where nobody can run it.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// start runs the daemon as nobody until it is ready, and returns what it said if it is not.
func (o owned) start() (refusal string) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), o.path("mfad"), "--config", o.path("mfa.toml"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if refusal += lines.Text() + "\n"; strings.Contains(lines.Text(), "msg=ready") {
			ready = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := cmd.Wait(); ready && err == nil {
		return ""
	}
	return refusal
}

// check runs mfad --check as root, and returns what it said if it says that something is wrong.
func (o owned) check() (refusal string) {
	out, err := exec.CommandContext(o.t.Context(), o.path("mfad"), "--check", "--config", o.path("mfa.toml")).CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

// What keeps the daemon from its next start, though root can open it, --check by root names, with
// the command that mends it.
func TestCheckByRootSeesWhatTheDaemonCannotOpen(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	for _, name := range []string{"mfa.toml", "key", "store/lock", "store/state.db", "store/state-0.log", "store/state-1.log", "store/users", "log/audit.jsonl", "others' store/state.db", "others' store/users"} {
		t.Run(name, func(t *testing.T) {
			o := newOwned(t)
			if said := o.start(); said != "" {
				t.Fatalf("a start of a new store: %s", said)
			}
			if said := o.check(); said != "" {
				t.Fatalf("a check of it: %s", said)
			}
			path := o.path(name)
			owner := 0
			if name, ok := strings.CutPrefix(name, "others' "); ok {
				path, owner = o.path(name), 54321
			}
			mode := os.FileMode(0o600)
			if info, err := os.Stat(path); err != nil {
				t.Fatal(err)
			} else if info.IsDir() {
				mode = 0o700
			}
			if err := errors.Join(os.Chown(path, owner, 0), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
			said, started := o.check(), o.start()
			if started == "" && !strings.HasSuffix(name, ".log") { // it ended well, so its log does not count
				t.Errorf("it starts")
			}
			if !strings.Contains(said, path) || strings.Contains(said, "damaged") || strings.Contains(started, "damaged") {
				t.Errorf("the check says %q, the start %q", said, started)
			}
			_, mend, ok := strings.Cut(said, "run ")
			if mend, _, _ = strings.Cut(mend, "\n"); ok {
				mend, _, _ = strings.Cut(mend, ",")
				mend = strings.ReplaceAll(mend, " on it", " "+path)
				if out, err := exec.CommandContext(t.Context(), "sh", "-c", mend).CombinedOutput(); err != nil {
					t.Errorf("%s: %v, %s", mend, err, out)
				}
			}
			if said := o.check() + o.start(); said != "" {
				t.Errorf("after %q: %s", mend, said)
			}
		})
	}
}
