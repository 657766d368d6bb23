package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mfa/internal/host/namespace"
)

// own is the folder of sockets.
const own = "/run/soak"

// patience is how long something that hangs holds up the run.
const patience = time.Minute

// A world is a machine of its own with a daemon.
type world struct {
	dir      string // on a real disk
	programs string
	settings []string

	// turns is even while the daemon runs, and odd while it is down.
	turns atomic.Int64

	up   sync.RWMutex // held for reading by who needs the daemon to stay
	cmd  *exec.Cmd    // guarded by up
	done chan error   // of cmd
	born time.Time    // guarded by up
	pid  atomic.Int64
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// newWorld turns the new namespaces into a machine of its own with these accounts.
func newWorld(out, programs string, accounts []byte) (*world, error) {
	w := &world{dir: filepath.Join(out, "disk"), programs: programs}
	if err := os.RemoveAll(out); err != nil {
		return nil, err
	}
	for _, dir := range []string{w.dir, w.path("audit")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(namespace.Private([]string{"/run", "/var/log"}, []string{own + "/tmp"}), namespace.Etc()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile("/etc/passwd", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(accounts)
	return w, errors.Join(err, f.Close(), os.WriteFile("/etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files\n"), 0o644))
}

// configure writes mfa.toml as a whole, for mfad may be reading it; more are lines that differ from one time to the next.
func (w *world) configure(more ...string) error {
	lines := append([]string{
		"server.pam_socket = '" + own + "/pam.sock'", "server.control_socket = '" + own + "/control.sock'",
		"store.path = '" + w.path("store") + "'", "secrets.key_file = '" + w.path("key") + "'",
		"audit.file = '" + w.path("audit/audit.jsonl") + "'", "metrics.listen = 'unix:" + own + "/metrics.sock'",
		"policy.methods = ['totp', 'hotp', 'email', 'sms', 'backup']", "code.resend_after = '0s'", "code.max_sends = 100",
		"email.from = 'mfa@example.com'", "log.level = 'warn'",
	}, append(w.settings, more...)...)
	text := strings.Join(lines, "\n") + `
[[policy.rule]]
services = ["` + exemptService + `"]
mode = "off"
[[policy.rule]]
services = ["` + rememberService + `"]
remember = "always"
`
	draft := w.path("mfa.toml.new")
	return errors.Join(os.WriteFile(draft, []byte(text), 0o600), os.Rename(draft, w.path("mfa.toml")))
}

// start starts the daemon and returns when it says that it is ready. The caller holds up.
func (w *world) start() error {
	name := own + "/notify"
	_ = os.Remove(name)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer notify.Close()
	log, err := os.OpenFile(w.path("../mfad.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	w.cmd = exec.Command(filepath.Join(w.programs, "mfad"), "--config", w.path("mfa.toml"))
	w.cmd.Stdout, w.cmd.Stderr = log, log
	w.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET=" + name, "TMPDIR=" + own + "/tmp"}
	if err := w.cmd.Start(); err != nil {
		return err
	}
	w.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) {
		done <- cmd.Wait()
		_ = notify.SetReadDeadline(time.Now()) // a daemon that ends is not waited for
	}(w.cmd, w.done)
	if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			return fmt.Errorf("mfad is not ready: %w", err)
		}
		if bytes.Contains(buf[:n], []byte("READY=1")) {
			w.born = time.Now()
			w.pid.Store(int64(w.cmd.Process.Pid))
			w.turns.Add(1)
			return nil
		}
	}
}

// stop ends the daemon with a signal. The caller holds up.
func (w *world) stop(signal syscall.Signal) error {
	w.turns.Add(1)
	if err := w.cmd.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		if signal == syscall.SIGKILL {
			return nil
		}
		return err
	case <-time.After(patience):
		return errors.New("mfad does not end")
	}
}

// mfactl runs the command line and returns what it said.
func (w *world) mfactl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.programs, "mfactl"), append([]string{"--socket", own + "/control.sock"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("mfactl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}
