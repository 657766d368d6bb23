package e2e

import (
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// dialAs connects to a socket under another uid, as code of that user would.
func dialAs(t testing.TB, uid int, path string) net.Conn {
	t.Helper()
	runtime.LockOSThread()
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
		t.Fatal(e)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0))
	runtime.UnlockOSThread()
	ok(t, err)
	ok(t, unix.SetNonblock(fd, true))
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	ok(t, err)
	return c
}

// talkAs holds a login of the request under a uid. Answer gets each asking prompt, and
// false ends it. It returns all that was said and the outcome ("" if none came).
func (s *site) talkAs(uid int, req mfa.Request, answer func(n int, text string) (string, bool)) (said, outcome string) {
	s.t.Helper()
	c := dialAs(s.t, uid, s.path("run/pam.sock"))
	defer c.Close()
	ok(s.t, wire.Write(c, wiretest.Hello(req)))
	for n := 0; ; {
		f, err := wire.Read(c)
		if err != nil {
			return said, "gone: " + err.Error()
		}
		if o, err := wire.DecodeDone(f); err == nil {
			return said, o.String()
		}
		p, err := wire.DecodePrompt(f)
		ok(s.t, err)
		said += p.Text + "\n"
		if p.Kind == mfa.Ask || p.Kind == mfa.AskHidden {
			a, more := answer(n, p.Text)
			n++
			if !more {
				return said, ""
			}
			ok(s.t, wire.Write(c, wire.Frame{Type: wire.Answer, Payload: []byte(a)}))
		}
	}
}

func hangUp(int, string) (string, bool) { return "", false }
