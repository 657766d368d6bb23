package etcdtest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers each line with itself, until the test ends.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

// says says a line and returns the error of hearing it back.
func says(c net.Conn, within time.Duration) error {
	if _, err := c.Write([]byte("line\n")); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(within))
	_, err := bufio.NewReader(c).ReadString('\n')
	return err
}

// A relay passes on, late, not at all, what it kept back, and nothing once it is cut.
func TestRelay(t *testing.T) {
	r := NewRelay(t, echo(t))
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const long = 20 * time.Second
	if err := says(c, long); err != nil {
		t.Errorf("as it is: %v", err)
	}
	r.Delay(50 * time.Millisecond)
	began := time.Now()
	if err := says(c, long); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("late: %v after %v", err, time.Since(began))
	}
	r.Mend()
	r.Hang()
	if err := says(c, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("hanging: %v", err)
	}
	r.Mend()
	_ = c.SetReadDeadline(time.Now().Add(long))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Errorf("what was kept back: %q, %v", line, err)
	}
	r.Cut()
	if err := says(c, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut: %v", err)
	}
	if c, err := net.Dial("tcp", r.Addr); err == nil {
		if err := says(c, long); err == nil {
			t.Error("cut, and a new connection is good")
		}
		_ = c.Close()
	}
}
