package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A daemon is mfad in a folder of its own. One goroutine at a time may use it; others may
// use path and gone.
type daemon struct {
	dir, program string

	cmd  *exec.Cmd
	gone chan struct{} // closed when the process that was started last has ended
	err  error         // of that
}

// patience is how long mfad may hang. The machine may be busy.
const patience = 5 * time.Minute

// within reports whether something is done within patience. It counts the seconds that this
// program runs: it may be stopped meanwhile, and mfad with it.
func within(done <-chan struct{}) bool {
	for range int(patience / time.Second) {
		select {
		case <-done:
			return true
		case <-time.After(time.Second):
		}
	}
	return false
}

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }

// failures is after how many wrong codes mfad locks.
const failures = 5

// configure writes mfa.toml. Nothing that is remembered ends within a run: locks last until
// somebody unlocks.
func (d *daemon) configure(more ...string) error {
	if err := os.MkdirAll(d.path("run"), 0o700); err != nil {
		return err
	}
	lines := append([]string{
		"server.pam_socket = '" + d.path("run/pam.sock") + "'", "server.control_socket = '" + d.path("run/control.sock") + "'",
		"store.path = '" + d.path("store") + "'", "secrets.key_file = '" + d.path("key") + "'",
		"audit.file = '" + d.path("audit.jsonl") + "'", "log.level = 'warn'",
		"policy.methods = ['totp', 'backup']",
		"totp.digits = 8", "totp.skew = 10",
		fmt.Sprintf("lockout.failures = %d", failures), "lockout.window = '7d'", "lockout.duration = '0s'",
		"session.remember = 'ask'",
	}, more...)
	return os.WriteFile(d.path("mfa.toml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// start starts mfad and returns when it is ready.
func (d *daemon) start() error {
	name := d.path("notify")
	_ = os.Remove(name)
	notify, err := net.ListenPacket("unixgram", name)
	if err != nil {
		return err
	}
	defer notify.Close()
	log, err := os.OpenFile(d.path("log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.program, "--config", d.path("mfa.toml"))
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "NOTIFY_SOCKET="+name), log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	gone, ready := make(chan struct{}), make(chan struct{})
	d.cmd, d.gone = cmd, gone
	go func() { // ends with the process
		d.err = cmd.Wait()
		close(gone)
		_ = notify.Close()
	}()
	go func() { // ends when mfad is ready, or notify is closed
		defer close(ready)
		buf := make([]byte, 4096)
		for {
			n, _, err := notify.ReadFrom(buf)
			if err != nil || strings.Contains(string(buf[:n]), "READY=1") {
				return
			}
		}
	}()
	if !within(ready) {
		return errors.New("mfad is not ready\n" + d.log())
	}
	select {
	case <-gone:
		return fmt.Errorf("mfad ended before it was ready: %w\n%s", d.err, d.log())
	default:
		return nil
	}
}

// end sends a signal that ends mfad, and waits for that.
func (d *daemon) end(sig syscall.Signal) error {
	if err := d.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("end mfad: %w\n%s", err, d.log())
	}
	if !within(d.gone) {
		return errors.New("mfad does not end\n" + d.log())
	}
	if sig == syscall.SIGTERM && d.err != nil {
		return fmt.Errorf("mfad ended with %w\n%s", d.err, d.log())
	}
	return nil
}

// kill ends mfad if it runs.
func (d *daemon) kill() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		<-d.gone
	}
}

// log returns the end of what mfad said.
func (d *daemon) log() string {
	text, _ := os.ReadFile(d.path("log"))
	return string(text[max(0, len(text)-4000):])
}
