package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a broken daemon holds up its test; a good one does not.
const patience = 30 * time.Second

// A process is mfad, run as by systemd, with a test in the place of systemd.
type process struct {
	t       testing.TB
	notify  *net.UnixConn // where sd_notify speaks to
	sockets []*os.File    // passed by socket activation
	waiting net.Conn      // a request that waits for its answer
	env     []string      // further variables

	cmd   *exec.Cmd
	lines chan string // standard error; closed when the daemon ended
	seen  strings.Builder
}

// newProcess makes a notify socket in dir, and no process yet.
func newProcess(t testing.TB, dir string) (*process, error) {
	path := filepath.Join(dir, "notify.sock")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &process{t: t, notify: c, env: []string{"NOTIFY_SOCKET=" + path}}, nil
}

// start runs program, which is mfad, with args in the folder dir. LISTEN_PID must name the process
// itself, so a shell says it, which then becomes the daemon (sd_listen_fds(3)).
func (d *process) start(dir, program string, args, env []string) error {
	if d.cmd != nil {
		return errors.New("the daemon runs already")
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(env, d.env...)
	if n := len(d.sockets); n > 0 {
		shell := []string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh", program}
		cmd = exec.Command("/bin/sh", append(shell, args...)...)
		cmd.Env = append(env, append(d.env, fmt.Sprintf("LISTEN_FDS=%d", n))...)
		cmd.ExtraFiles = d.sockets
	}
	cmd.Dir = dir
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stderr = w
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		return errors.Join(err, r.Close())
	}
	lines := make(chan string, 10_000) // more than any script makes it say
	d.cmd, d.lines = cmd, lines
	d.seen.Reset()
	go func() { // ends with the daemon; end waits for it
		defer close(lines)
		defer r.Close()
		for in := bufio.NewScanner(r); in.Scan(); {
			lines <- in.Text()
		}
		d.tellEnd(cmd.Process.Pid)
	}()
	return nil
}

// tellEnd sends word behind the daemon's last, so that nobody waits for another.
func (d *process) tellEnd(pid int) {
	c, err := net.Dial("unixgram", d.notify.LocalAddr().String())
	if err != nil {
		return // the test is over
	}
	_, _ = fmt.Fprintf(c, "ended %d", pid)
	_ = c.Close()
}

// expectLog waits for a line that matches. Lines up to it are used up.
func (d *process) expectLog(pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	late := time.After(patience)
	for {
		select {
		case line, ok := <-d.lines:
			if !ok {
				return fmt.Errorf("the daemon ended and never said %q; it said:\n%s", pattern, &d.seen)
			}
			d.note(line)
			if re.MatchString(line) {
				return nil
			}
		case <-late:
			return fmt.Errorf("the daemon never said %q; it said:\n%s", pattern, &d.seen)
		}
	}
}

func (d *process) note(line string) {
	d.t.Log(line)
	fmt.Fprintln(&d.seen, line)
}

// expectNotify waits until the daemon told systemd state.
func (d *process) expectNotify(state string) error {
	if err := d.notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := d.notify.Read(buf)
		if err != nil {
			return fmt.Errorf("the daemon never told systemd %q: %w", state, err)
		}
		switch got := string(buf[:n]); {
		case got == state:
			return nil
		case d.cmd == nil || got == fmt.Sprintf("ended %d", d.cmd.Process.Pid):
			return fmt.Errorf("the daemon ended and never told systemd %q", state)
		}
	}
}

// signal sends the daemon a signal.
func (d *process) signal(s syscall.Signal) error {
	if d.cmd == nil {
		return errors.New("the daemon does not run")
	}
	return d.cmd.Process.Signal(s)
}

// drain uses up what the daemon told systemd until its end.
func (d *process) drain() error {
	return d.expectNotify(fmt.Sprintf("ended %d", d.cmd.Process.Pid))
}

// end waits for the daemon to end and returns its exit code, and the log that
// was not used up; -1 is a signal.
func (d *process) end() (int, string) {
	rest := &strings.Builder{}
	late := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer late.Stop()
	for line := range d.lines {
		d.note(line)
		fmt.Fprintln(rest, line)
	}
	if err := d.cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			d.t.Errorf("wait for the daemon: %v", err)
		}
	}
	code := d.cmd.ProcessState.ExitCode()
	d.cmd = nil
	return code, rest.String()
}

// close ends what is left.
func (d *process) close() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		d.end()
	}
	for _, f := range d.sockets {
		_ = f.Close()
	}
	if d.waiting != nil {
		_ = d.waiting.Close()
	}
	_ = d.notify.Close()
}

// activate opens a socket as systemd does, for the daemons started from now on.
func (d *process) activate(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.sockets = append(d.sockets, f)
	return l.Close()
}

// send connects to the socket and sends one request of HTTP.
func send(path, request string) (net.Conn, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request+" HTTP/1.0\r\n\r\n"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// receive returns the answer, all that comes until the connection ends.
func receive(c net.Conn) (string, error) {
	answer, err := io.ReadAll(c)
	return string(answer), errors.Join(err, c.Close())
}
