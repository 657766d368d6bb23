package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/msteinert/pam/v2"
	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Every outcome of the daemon is the PAM code of the contract.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome mfa.Outcome
		args    []string
		want    pam.Error
		level   int
		words   string
	}{
		{mfa.Accepted, nil, success, logInfo, "accepted (PAM_SUCCESS)"},
		{mfa.Exempt, nil, ignored, logInfo, "not needed (PAM_IGNORE)"},
		{mfa.Exempt, []string{"exempt=ignore"}, ignored, logInfo, "not needed (PAM_IGNORE)"},
		{mfa.Exempt, []string{"exempt=success"}, success, logInfo, "not needed (PAM_SUCCESS)"},
		{mfa.WrongCode, nil, pam.ErrAuth, logNotice, "wrong code (PAM_AUTH_ERR)"},
		{mfa.Exhausted, nil, pam.ErrMaxtries, logNotice, "(PAM_MAXTRIES)"},
		{mfa.MustEnroll, nil, pam.ErrPermDenied, logNotice, "not enrolled (PAM_PERM_DENIED)"},
		{mfa.NotAllowed, nil, pam.ErrPermDenied, logNotice, "this program may not ask for this user (PAM_PERM_DENIED)"},
		{mfa.Unavailable, nil, pam.ErrAuthinfoUnavail, logNotice, "(PAM_AUTHINFO_UNAVAIL)"},
		{mfa.Unavailable, []string{"unavailable=ignore"}, pam.ErrAuthinfoUnavail, logNotice, "(PAM_AUTHINFO_UNAVAIL)"},
		{mfa.CodeSent, nil, pam.ErrAuth, logNotice, "refused, a code was sent and the next login carries it (PAM_AUTH_ERR)"},
		{mfa.NoConversation, nil, pam.ErrConv, logNotice, "nobody answered (PAM_CONV_ERR)"},
		{mfa.Broken, nil, pam.ErrSystem, logNotice, "a fault (PAM_SYSTEM_ERR)"},
	} {
		t.Run(c.outcome.String()+strings.Join(c.args, ","), func(t *testing.T) {
			t.Parallel()
			s := newStack(t, c.args...)
			s.serve(t, ends(c.outcome))
			got := s.login(t, []string{"-r", "203.0.113.7"})
			got.wantAuth(t, c.want)
			got.wantLog(t, c.level, c.words+" rhost=203.0.113.7 user=alice")
			if n := len(got.named("log")); n != 1 {
				t.Errorf("%d log lines, want 1: %v", n, got.named("log"))
			}
			said := got.named("conv")
			told := len(said) == 1 && strings.Contains(said[0].text, "cannot be checked right now")
			if wanted := c.want == pam.ErrAuthinfoUnavail || c.want == pam.ErrSystem; told != wanted || len(said) > 1 {
				t.Errorf("the module said of its own: %v", said)
			}
		})
	}
}

// A refusal that is no fault of the person's is told once: by mfad, or else by the module.
func TestRefusalIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, outcome := range []mfa.Outcome{mfa.Unavailable, mfa.Broken} {
		t.Run(outcome.String(), func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			s.serve(t, func(p *peer) {
				p.hello()
				p.say(mfa.Failure, "The directory does not answer.")
				p.verdict(mfa.Verdict{Outcome: outcome})
				p.left()
			})
			said := s.login(t, nil).named("conv")
			if len(said) != 1 || !strings.Contains(said[0].text, "directory") {
				t.Errorf("said: %v", said)
			}
		})
	}
	t.Run("an argument it does not know", func(t *testing.T) {
		t.Parallel()
		got := newStack(t, "unavailable=maybe").login(t, nil)
		got.wantAuth(t, pam.ErrSystem)
		if said := got.named("conv"); len(said) != 1 || !strings.Contains(said[0].text, "cannot be checked right now") {
			t.Errorf("said: %v", said)
		}
	})
}

// A login that was locked before anything was typed is no guess in the log, which
// fail2ban reads.
func TestUntriedIsNoGuess(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, func(p *peer) {
		p.hello()
		p.verdict(mfa.Verdict{Outcome: mfa.Exhausted, Untried: true})
		p.left()
	})
	got := s.login(t, []string{"-r", "203.0.113.7"})
	got.wantAuth(t, pam.ErrMaxtries)
	got.wantLog(t, logNotice, "refused untried, locked or at a limit (PAM_MAXTRIES) rhost=203.0.113.7 user=alice")
}

// Only with a way in, and in this login only, acct_mgmt demands a new password.
func TestPasswordChange(t *testing.T) {
	t.Parallel()
	change := func(o mfa.Outcome) script {
		return func(p *peer) {
			p.hello()
			p.send(wire.EncodeDone(mfa.Verdict{Outcome: o, ChangePassword: true}))
			p.left()
		}
	}
	s := newStack(t)
	s.serve(t, change(mfa.Accepted), change(mfa.Exempt), change(mfa.WrongCode), ends(mfa.Accepted))
	var got []int
	for _, e := range s.login(t, []string{"-n", "4"}).named("acct") {
		got = append(got, e.number)
	}
	want := []int{int(pam.ErrNewAuthtokReqd), int(pam.ErrNewAuthtokReqd), int(ignored), int(ignored)}
	if !slices.Equal(got, want) {
		t.Errorf("pam_acct_mgmt returned %v, want %v", got, want)
	}
}

// A second attempt in the same PAM transaction takes the first one's word back.
func TestPasswordChangeTakenBack(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, func(p *peer) {
		p.hello()
		p.send(wire.EncodeDone(mfa.Verdict{Outcome: mfa.Accepted, ChangePassword: true}))
		p.left()
	}, ends(mfa.Accepted))
	if code := s.login(t, []string{"-a", "2"}).code(t, "acct"); code != ignored {
		t.Errorf("pam_acct_mgmt returned %d, want %d", code, ignored)
	}
}

func TestOtherCallsTouchNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, ends(mfa.Accepted))
	got := s.login(t, nil)
	for name, want := range map[string]pam.Error{
		"auth": success, "cred": success, "acct": ignored, "open": ignored, "close": ignored, "chauthtok": ignored,
	} {
		if code := got.code(t, name); code != want {
			t.Errorf("%s returned %d, want %d", name, code, want)
		}
	}
}

// An argument that is not understood fails the login and is named.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	long := "socket=/" + strings.Repeat("x", 107)
	for _, arg := range []string{
		"timeout=", "timeout=0", "timeout=3601", "timeout=99999999999", "timeout=-1", "timeout=+1", "timeout=1s",
		"timeout=1.5", "timeout", "unavailable=", "unavailable=allow", "unavailable=IGNORE", "unavailable",
		"exempt=yes", "exempt", "socket=", "socket", "socket=run/mfa/pam.sock", long, "debug=1", "Debug",
		"nullok", "socketx=/run", "=", "try_first_pass", "Split", "split=", "splitx",
	} {
		t.Run(arg[:min(len(arg), 24)], func(t *testing.T) {
			t.Parallel()
			s := newStack(t, arg)
			got := s.login(t, nil)
			got.wantAuth(t, pam.ErrSystem)
			got.wantLog(t, logErr, `bad argument "`+arg+`": known are socket=`)
			if code := got.code(t, "acct"); code != pam.ErrSystem {
				t.Errorf("acct_mgmt returned %d, want %d", code, pam.ErrSystem)
			}
		})
	}
}

func TestGoodArguments(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{
		"timeout=1", "timeout=3600", "timeout=0110", "unavailable=deny", "unavailable=ignore",
		"exempt=ignore", "exempt=success", "debug",
	} {
		t.Run(arg, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, arg)
			s.serve(t, ends(mfa.Accepted))
			s.login(t, nil).wantAuth(t, success)
		})
	}
}

// The longest path that fits a socket's address works.
func TestLongestPath(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.socket = filepath.Join(filepath.Dir(s.socket), strings.Repeat("s", 107-len(filepath.Dir(s.socket))-1))
	s.serve(t, ends(mfa.Accepted))
	s.login(t, nil).wantAuth(t, success)
}

// The daemon is told of a login what PAM knows, never the caller's environment.
func TestHello(t *testing.T) {
	t.Parallel()
	want := mfa.Request{
		Service: "test", User: "alice", RHost: "203.0.113.7", TTY: "ssh", RUser: "bob",
		SSHAuthInfo: "publickey ssh-ed25519 AAAA\npassword", SSHConnection: "203.0.113.7 50000 192.0.2.1 22",
		Module: "dev", Flags: 0x8000, // PAM_SILENT
	}
	s := newStack(t)
	s.env = []string{"SSH_AUTH_INFO_0=stolen", "SSH_CONNECTION=stolen"}
	s.serve(t, func(p *peer) {
		if got := p.hello(); got != want {
			t.Errorf("HELLO %+v, want %+v", got, want)
		}
		p.done(mfa.Accepted)
	})
	s.login(t, []string{
		"-s", "-r", want.RHost, "-t", want.TTY, "-u", want.RUser,
		"-E", "SSH_AUTH_INFO_0=" + want.SSHAuthInfo, "-E", "SSH_CONNECTION=" + want.SSHConnection,
	}).wantAuth(t, success)

	s = newStack(t)
	s.env = []string{"SSH_AUTH_INFO_0=stolen", "SSH_CONNECTION=stolen"}
	s.serve(t, func(p *peer) {
		if got, want := p.hello(), (mfa.Request{Service: "test", User: "alice", Module: "dev"}); got != want {
			t.Errorf("HELLO %+v, want %+v", got, want)
		}
		p.done(mfa.Accepted)
	})
	s.login(t, nil).wantAuth(t, success)
}

func TestFieldsTooLong(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("x", wire.MaxField)
	name := strings.Repeat("n", wire.MaxName)
	for name, c := range map[string]struct {
		options []string
		says    string
	}{
		"SSH_CONNECTION": {[]string{"-E", "SSH_CONNECTION=" + fits + "x"}, "field 7 of this login has 16385 bytes"},
		"rhost":          {[]string{"-r", name + "x"}, "field 3 of this login has 257 bytes, more than 256"},
		"tty":            {[]string{"-t", name + "x"}, "field 4 of this login has 257 bytes, more than 256"},
		"ruser":          {[]string{"-u", name + "x"}, "field 5 of this login has 257 bytes, more than 256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, "unavailable=ignore")
			s.serve(t, func(p *peer) { p.left() })
			got := s.login(t, c.options)
			got.wantAuth(t, pam.ErrSystem)
			got.wantLog(t, logErr, c.says)
		})
	}
	s := newStack(t)
	s.serve(t, func(p *peer) {
		if got := p.hello(); got.SSHConnection != fits || got.SSHAuthInfo != fits || got.RHost != name || got.TTY != name || got.RUser != name {
			t.Errorf("HELLO %+v", got)
		}
		p.done(mfa.Accepted)
	})
	s.login(t, []string{"-E", "SSH_CONNECTION=" + fits, "-E", "SSH_AUTH_INFO_0=" + fits, "-r", name, "-t", name, "-u", name}).wantAuth(t, success)
}

// A name cannot pretend to be another part of a log line.
func TestNamesInTheLog(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, ends(mfa.WrongCode))
	got := s.login(t, []string{"-r", "a user=root\n\x1b[2J\u009b" + strings.Repeat("z", 200)})
	got.wantLog(t, logNotice, "rhost=a?user=root??[2J??"+strings.Repeat("z", 109)+" user=alice")
}

const unavailableText = "The second factor cannot be checked right now. Try again later."

// unavailable=ignore opens for a daemon that is not there, and for nothing else:
// what load or a crafted login can bring about stays a refusal.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	partial := []byte{0, 0}
	for _, c := range []struct {
		name     string
		prepare  func(t *testing.T, s *stack)
		absent   bool
		timeout  bool // the module must wait for its deadline
		complain string
	}{
		{"no folder", func(_ *testing.T, s *stack) { s.socket = s.dir + "/none/pam.sock" }, true, false, "is mfad running?"},
		{"no socket", func(*testing.T, *stack) {}, true, false, "is mfad running?"},
		{"nobody listens", func(t *testing.T, s *stack) {
			ln := s.listen(t)
			ln.SetUnlinkOnClose(false)
			ln.Close()
		}, true, false, "is mfad running?"},
		{"died, and nobody listens", func(t *testing.T, s *stack) {
			s.hangUp(t, 1, func(p *peer) { p.hello() })
		}, true, false, "is mfad running?"},
		{"closed without a word, each time", func(t *testing.T, s *stack) {
			s.hangUp(t, calls, func(p *peer) { p.hello() })
		}, false, false, "closed the connection without a word"},
		{"reset without a word, each time", func(t *testing.T, s *stack) {
			s.hangUp(t, calls, func(*peer) {})
		}, false, false, "closed the connection without a word"},
		{"closed after half a frame", func(t *testing.T, s *stack) {
			s.serve(t, func(p *peer) { p.hello(); p.raw(partial) })
		}, false, false, "mfad closed the connection"},
		{"closed in mid-conversation", func(t *testing.T, s *stack) {
			s.serve(t, func(p *peer) { p.hello(); p.say(mfa.Ask, "Code: "); p.wantAnswer("1") })
		}, false, false, "mfad closed the connection"},
		{"silent", func(t *testing.T, s *stack) {
			s.serve(t, func(p *peer) { p.hello(); p.left() })
		}, false, true, "mfad did not answer in time"},
		{"silent after half a frame", func(t *testing.T, s *stack) {
			s.serve(t, sends(partial))
		}, false, true, "mfad did not answer in time"},
		{"queue full", fillQueue, false, true, "mfad does not take connections in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			settings := [][]string{nil, {"unavailable=deny"}, {"unavailable=ignore"}}
			if c.timeout {
				settings = [][]string{{"unavailable=ignore", "timeout=1"}}
			}
			for _, args := range settings {
				s := newStack(t, args...)
				c.prepare(t, s)
				got := s.login(t, nil, "1")
				got.wantLog(t, logErr, c.complain)
				if c.absent && slices.Contains(args, "unavailable=ignore") {
					got.wantAuth(t, ignored)
					got.wantLog(t, logAlert, "LET IN WITHOUT A SECOND FACTOR (unavailable=ignore) (PAM_IGNORE)")
					continue
				}
				got.wantAuth(t, pam.ErrAuthinfoUnavail)
				got.wantLog(t, logNotice, "(PAM_AUTHINFO_UNAVAIL)")
				said := got.named("conv")
				if len(said) == 0 || said[len(said)-1] != (event{"conv", int(pam.ErrorMsg), unavailableText}) {
					t.Errorf("the user saw %v", said)
				}
			}
		})
	}
}

// hangUp plays one script so many times, and then nobody listens.
func (s *stack) hangUp(t *testing.T, times int, play script) {
	t.Helper()
	ln := s.listen(t)
	var served sync.WaitGroup
	served.Go(func() {
		for i := range times {
			conn, err := ln.AcceptUnix()
			if err != nil {
				t.Errorf("script %d of %d was not used: %v", i+1, times, err)
				return
			}
			if i == times-1 {
				ln.Close()
			}
			playOn(t, conn, play)
		}
	})
	t.Cleanup(served.Wait)
}

// A daemon that is replaced, while somebody keeps its socket, is asked again.
func TestDaemonThatIsReplacedIsCalledAgain(t *testing.T) {
	t.Parallel()
	s := newStack(t, "unavailable=ignore")
	s.serve(t, func(p *peer) { p.hello() }, func(*peer) {}, ends(mfa.WrongCode))
	s.login(t, nil).wantAuth(t, pam.ErrAuth)
}

// fillQueue listens and takes no connection until no more fit.
func fillQueue(t *testing.T, s *stack) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	to := &unix.SockaddrUnix{Name: s.socket}
	if err := unix.Bind(fd, to); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		if err := unix.Connect(c, to); err == unix.EAGAIN {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// An mfad that refuses before it reads HELLO is heard, and is not "absent".
func TestRefusalBeforeHello(t *testing.T) {
	t.Parallel()
	s := newStack(t, "unavailable=ignore")
	s.serve(t, func(p *peer) { p.done(mfa.Unavailable) })
	s.login(t, nil).wantAuth(t, pam.ErrAuthinfoUnavail)
}

func TestUnavailableSilently(t *testing.T) {
	t.Parallel()
	got := newStack(t).login(t, []string{"-s"})
	got.wantAuth(t, pam.ErrAuthinfoUnavail)
	said := got.named("conv")
	if len(said) != 1 || !strings.Contains(said[0].text, "Press Enter to go on: ") {
		t.Errorf("PAM_SILENT, and the user saw %v; want one prompt", said)
	}
}

// A folder in which others could put a socket is refused, whatever the
// arguments say, and nobody is spoken to.
func TestFolder(t *testing.T) {
	const nobody, other = 65534, 65533
	t.Parallel()
	for _, c := range []struct {
		name  string
		mode  os.FileMode
		owner int
		uid   uint32 // the caller
		says  string // empty: it is fine
	}{
		{"root", 0o755, 0, 0, ""},
		{"root, sticky", 0o755 | os.ModeSticky, 0, 0, ""},
		{"group may write", 0o775, 0, 0, "has mode 0775"},
		{"others may write", 0o757, 0, 0, "has mode 0757"},
		{"sticky and others may write", 0o777 | os.ModeSticky, 0, 0, "has mode 1777"},
		{"someone else's", 0o755, other, 0, "belongs to uid 65533"},
		{"the caller's", 0o755, nobody, nobody, ""},
		{"root's, another caller", 0o755, 0, nobody, ""},
		{"someone else's, another caller", 0o755, other, nobody, "belongs to uid 65533"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needRoot(t)
			s := newStack(t, "unavailable=ignore")
			s.uid = c.uid
			if c.says == "" {
				s.serve(t, ends(mfa.Accepted))
			} else {
				ln := s.listen(t)
				defer ln.Close()
			}
			folder := filepath.Dir(s.socket)
			if err := os.Chown(folder, c.owner, c.owner); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(folder, c.mode); err != nil {
				t.Fatal(err)
			}
			got := s.login(t, nil)
			if c.says == "" {
				got.wantAuth(t, success)
				return
			}
			got.wantAuth(t, pam.ErrSystem)
			got.wantLog(t, logErr, c.says)
			got.wantLog(t, logErr, "mend it with: ch")
		})
	}
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		s := newStack(t, "unavailable=ignore")
		s.socket = filepath.Join(s.dir, "file", "pam.sock")
		if err := os.WriteFile(filepath.Dir(s.socket), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		got := s.login(t, nil)
		got.wantAuth(t, pam.ErrSystem)
		got.wantLog(t, logErr, "is not a folder")
	})
}

// The socket is close-on-exec and never a standard descriptor, no thread is
// started, and nothing typed is left in memory.
func TestWhatTheHostKeeps(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("0123456789abcdef", 4)
	for _, options := range [][]string{nil, {"-C"}} {
		s := newStack(t)
		s.serve(t, whole(secret))
		got := s.login(t, options, secret, "654321")
		got.wantAuth(t, success)
		sockets := got.named("socket")
		if len(sockets) != 2 { // at each of the two prompts
			t.Errorf("sockets open at the prompts: %v", sockets)
		}
		for _, e := range sockets {
			if e.number <= 2 || e.text != "cloexec" {
				t.Errorf("options %v: socket is descriptor %d, %s", options, e.number, e.text)
			}
		}
		for _, e := range got.named("threads") {
			if e.number != 1 {
				t.Errorf("%d threads at a prompt", e.number)
			}
		}
		if n := got.code(t, "kept"); n != 0 {
			t.Errorf("%d answers are still in memory", n)
		}
	}
}

// The lines that debug adds say nothing of what was typed.
func TestDebug(t *testing.T) {
	t.Parallel()
	s := newStack(t, "debug")
	s.first = "hunter2"
	s.serve(t, whole("s3cr3t"))
	got := s.login(t, nil, "s3cr3t", "654321")
	got.wantAuth(t, success)
	got.wantLog(t, logDebug, "version dev asks "+s.socket+", timeout 110 s")
	got.wantLog(t, logDebug, "mfad says 17 bytes")
	got.wantLog(t, logDebug, "mfad asks with 6 bytes, echo on; the application: Success")
	for _, e := range got.named("log") {
		if text := []byte(e.text); bytes.Contains(text, []byte("s3cr3t")) || bytes.Contains(text, []byte("654321")) ||
			bytes.Contains(text, []byte("hunter2")) {
			t.Errorf("the log has a secret: %q", e.text)
		}
	}
}
