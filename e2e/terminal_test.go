package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// patience is how long a test waits for something that should come at once.
const patience = 30 * time.Second

// A terminal is a program under a pty, and somebody who reads and types.
type terminal struct {
	cmd  *exec.Cmd
	file *os.File
	said record // what the program wrote, without carriage returns
	at   int    // how much of it was matched
	end  chan struct{}
	err  error // of Wait; read after end
}

// open starts cmd under a pty of its own. The program ends with the test at the
// latest, and the test shows what it wrote when it failed.
func open(t testing.TB, cmd *exec.Cmd) *terminal {
	t.Helper()
	c := &terminal{cmd: cmd, end: make(chan struct{})}
	var err error
	c.file, err = pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 200})
	ok(t, err)
	go c.pump()
	t.Cleanup(func() {
		c.close()
		show(t, fmt.Sprint("terminal of ", cmd.Args), &c.said)
	})
	return c
}

// pump copies what the program writes until it ends, and then waits for it.
func (c *terminal) pump() {
	defer close(c.end)
	buf := make([]byte, 4096)
	for {
		n, err := c.file.Read(buf)
		_, _ = c.said.Write(bytes.ReplaceAll(buf[:n], []byte("\r"), nil))
		if err != nil { // EIO: the other side is closed
			break
		}
	}
	c.err = c.cmd.Wait()
	c.said.end()
}

// close ends the program as closing a terminal's window does.
func (c *terminal) close() {
	select {
	case <-c.end:
	default:
		_ = c.cmd.Process.Kill()
		<-c.end
	}
	_ = c.file.Close()
}

// wait returns what the program wrote up to and with the next match of pattern.
func (c *terminal) wait(pattern string) (string, error) {
	text, n, err := await(&c.said, c.at, regexp.MustCompile(pattern))
	c.at += n
	return text, err
}

// expect is wait for a test's own goroutine.
func (c *terminal) expect(t testing.TB, pattern string) string {
	t.Helper()
	text, err := c.wait(pattern)
	ok(t, err)
	return text
}

// send types a line.
func (c *terminal) send(line string) { _, _ = io.WriteString(c.file, line+"\n") }

// finish waits for the program's end, and returns what it wrote since the last
// match and its exit status.
func (c *terminal) finish() (string, int, error) {
	select {
	case <-c.end:
	case <-time.After(patience):
		return "", 0, fmt.Errorf("%v still runs; it wrote %q", c.cmd.Args, c.said.String())
	}
	rest := c.said.String()[c.at:]
	c.at += len(rest)
	var exit *exec.ExitError
	if c.err != nil && !errors.As(c.err, &exit) {
		return rest, 0, c.err
	}
	return rest, c.cmd.ProcessState.ExitCode(), nil
}

// welcome is what a login that was let in prints.
const welcome = "let-in-e2e"

// expectIn ends the test unless the program ends well after printing welcome.
func (c *terminal) expectIn(t testing.TB) string {
	t.Helper()
	text, status, err := c.finish()
	ok(t, err)
	if status != 0 || !bytes.Contains([]byte(text), []byte(welcome)) {
		t.Fatalf("%v: not let in: status %d, %q", c.cmd.Args, status, text)
	}
	return text
}

// expectOut ends the test unless the program ends with a failure and without
// welcome. It returns what was written since the last match.
func (c *terminal) expectOut(t testing.TB) string {
	t.Helper()
	text, status, err := c.finish()
	ok(t, err)
	if status == 0 || bytes.Contains([]byte(c.said.String()), []byte(welcome)) {
		t.Fatalf("%v: let in: status %d, %q", c.cmd.Args, status, text)
	}
	return text
}

// await returns the text of r from offset from up to the end of the first match
// of re, and its length, as soon as there is one.
func await(r *record, from int, re *regexp.Regexp) (string, int, error) {
	late := time.After(patience)
	for {
		text, ended, changed := r.next()
		if at := re.FindStringIndex(text[from:]); at != nil {
			return text[from : from+at[1]], at[1], nil
		}
		if ended {
			return "", 0, fmt.Errorf("ended without %q; wrote %q", re, text[from:])
		}
		select {
		case <-changed:
		case <-late:
			return "", 0, fmt.Errorf("no %q; wrote %q", re, text[from:])
		}
	}
}

// awaitText ends the test unless r gets a match of pattern after offset from.
func awaitText(t testing.TB, r *record, from int, pattern string) string {
	t.Helper()
	text, _, err := await(r, from, regexp.MustCompile(pattern))
	ok(t, err)
	return text
}

// awaitSaid waits until a program wrote all of the texts, behind from. What it wrote may come
// through its pipe after what it did.
func awaitSaid(t testing.TB, r *record, from int, texts ...string) {
	t.Helper()
	for _, text := range texts {
		awaitText(t, r, from, regexp.QuoteMeta(text))
	}
}

// show logs what a program wrote, when the test failed.
func show(t testing.TB, name string, r *record) {
	if t.Failed() {
		t.Logf("--- %s:\n%s", name, r)
	}
}

// eventually ends the test unless cond becomes true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("never: %s", what)
		}
	}
}

// service starts a program that runs until the test ends, its output collected.
func service(t testing.TB, cmd *exec.Cmd) (*record, func(syscall.Signal) error) {
	t.Helper()
	out := &record{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = patience
	ok(t, cmd.Start())
	done := make(chan struct{})
	var err error
	go func() { err = cmd.Wait(); out.end(); close(done) }()
	stop := func(sig syscall.Signal) error {
		_ = cmd.Process.Signal(sig)
		select {
		case <-done:
			return err
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			return fmt.Errorf("%v did not end on %v", cmd.Args, sig)
		}
	}
	t.Cleanup(func() {
		_ = stop(syscall.SIGKILL)
		show(t, fmt.Sprint("output of ", cmd.Args), out)
	})
	return out, stop
}
