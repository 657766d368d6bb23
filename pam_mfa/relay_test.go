package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msteinert/pam/v2"
	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
)

// A scripted is a person who does what the test says. It is used by one
// conversation at a time.
type scripted struct {
	answer func(echo bool, text string) (string, bool)
	heard  []string // what was said, and the prompts
}

func (s *scripted) say(_ bool, text string) { s.heard = append(s.heard, text) }

func (s *scripted) ask(echo bool, text string) (string, bool) {
	s.heard = append(s.heard, text)
	return s.answer(echo, text)
}

// always is a person who gives one answer.
func always(line string) *scripted {
	return &scripted{answer: func(bool, string) (string, bool) { return line, true }}
}

// pair returns a relay's descriptor and the fake daemon's end.
func pair(t *testing.T) (int, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "mfad")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], conn.(*net.UnixConn)
}

// relay runs one conversation in this process against a script, and returns
// when both are over.
func relay(t *testing.T, d deadline, p person, password string, play script) verdict {
	t.Helper()
	fd, conn := pair(t)
	var daemon sync.WaitGroup
	daemon.Go(func() { playOn(t, conn, play) })
	v := converse(fd, d, mfa.Request{User: "alice"}, p, password)
	unix.Close(fd)
	daemon.Wait()
	return v
}

// An answer that comes after the deadline is not sent; what the daemon said
// meanwhile counts, unless it lets in.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		said func(p *peer)
		want outcome
	}{
		{"refused meanwhile", func(p *peer) { p.done(mfa.Exhausted) }, exhausted},
		{"let in meanwhile", func(p *peer) { p.done(mfa.Accepted) }, noConversation},
		{"nothing", func(*peer) {}, noConversation},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := after(200 * time.Millisecond)
			said := make(chan struct{})
			late := &scripted{answer: func(bool, string) (string, bool) {
				<-said
				for !d.passed() {
					time.Sleep(time.Millisecond) // the person is slow
				}
				return "123456", true
			}}
			v := relay(t, d, late, "", func(p *peer) {
				p.hello()
				p.say(mfa.Ask, "Code: ")
				c.said(p)
				close(said)
				if line, err := p.answer(); err == nil {
					t.Errorf("answer %q was sent late", line)
				}
			})
			if v.outcome != c.want {
				t.Errorf("%+v, want outcome %d", v, c.want)
			}
		})
	}
}

// A daemon that closed before it heard the answer cannot let in.
func TestUnheardAnswer(t *testing.T) {
	t.Parallel()
	for o, want := range map[mfa.Outcome]outcome{
		mfa.Accepted: broken, mfa.Exempt: broken, mfa.WrongCode: wrongCode, mfa.Unavailable: unavailable,
	} {
		closed := make(chan struct{})
		person := &scripted{answer: func(bool, string) (string, bool) {
			<-closed
			return "123456", true
		}}
		v := relay(t, after(patience), person, "", func(p *peer) {
			p.hello()
			p.say(mfa.Ask, "Code: ")
			p.done(o)
			p.conn.Close()
			close(closed)
		})
		if v.outcome != want {
			t.Errorf("%v: %+v, want outcome %d", o, v, want)
		}
	}
}

// The deadline is one for the whole login, not one for each wait.
func TestOneDeadline(t *testing.T) {
	t.Parallel()
	v := relay(t, after(300*time.Millisecond), always("1"), "", func(p *peer) {
		p.hello()
		for range 4 { // each wait is short; together they are too long
			time.Sleep(100 * time.Millisecond) // the daemon is slow
			p.raw(frame(2, "Ix"))
		}
		p.left()
	})
	if v.outcome != unavailable || !strings.Contains(v.why, "in time") {
		t.Errorf("%+v", v)
	}
}

// A module in an application with many threads: logins share nothing.
func TestThroughLibpamAtOnce(t *testing.T) {
	t.Parallel()
	const logins = 16
	s := newStack(t)
	conf := s.configure(t)
	scripts := make([]script, logins)
	for i := range scripts {
		scripts[i] = whole("123456")
		if i%2 == 1 {
			scripts[i] = ends(mfa.Exhausted)
		}
	}
	s.serve(t, scripts...)
	var all sync.WaitGroup
	codes := make(chan error, logins)
	for range logins {
		all.Go(func() {
			tx, err := pam.StartConfDir("test", "alice", pam.ConversationFunc(
				func(style pam.Style, text string) (string, error) {
					switch {
					case style == pam.PromptEchoOn && text == "Code: ":
						return "123456", nil
					case style == pam.PromptEchoOff && text == "Code again: ":
						return "654321", nil
					case style == pam.TextInfo, style == pam.ErrorMsg:
						return "", nil
					}
					return "", errors.New("unexpected prompt")
				}), conf)
			if err != nil {
				codes <- err
				return
			}
			codes <- tx.Authenticate(0)
			if err := tx.End(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(codes)
	count := map[error]int{}
	for err := range codes {
		count[err]++
	}
	if count[nil] != logins/2 || count[pam.ErrMaxtries] != logins/2 {
		t.Errorf("results %v", count)
	}
}
