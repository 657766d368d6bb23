package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/audit"
	"mfa/internal/audit/audittest"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// Nobody else can fill the places kept for root, however few there are.
func TestRoomOfOthersThanRoot(t *testing.T) {
	for _, most := range []int{1, 2, 10, 100, 1024} {
		r, b := &slots{}, loginBounds(most)
		n := 0
		for uid := uint32(1000); uid < 3000; uid++ {
			for own := 0; r.enter(uid, b); own++ {
				if n++; own == b.perUID {
					t.Fatalf("uid %d has more than %d", uid, b.perUID)
				}
			}
		}
		if n != (most+3)/4 {
			t.Errorf("%d logins of others than root, want a quarter of %d", n, most)
		}
		for i := range most {
			if !r.enter(0, b) {
				t.Fatalf("root's login %d of %d is refused", i+1, most)
			}
		}
		if r.enter(0, b) {
			t.Error("more than max_logins")
		}
		if r.leave(1000); !r.enter(1000, b) || r.taken() != n+most {
			t.Errorf("%d run", r.taken())
		}
	}
}

// Two users leave room for others: with 64 conversations in all, 32 users have one.
func TestRoomOfConversations(t *testing.T) {
	r := &slots{}
	for uid := uint32(1); uid <= 2; uid++ {
		for r.enter(uid, selfBounds) {
		}
	}
	if r.taken() != 4 || !r.enter(3, selfBounds) || !r.enter(0, selfBounds) {
		t.Errorf("%d conversations run", r.taken())
	}
}

func TestTurnstile(t *testing.T) {
	now := time.Unix(1e9, 0)
	s, p := &rateLimiter{}, rate{burst: 3, every: time.Second}
	count := func(uid uint32) (n int) {
		for s.allow(uid, p, now) {
			n++
		}
		return n
	}
	if n := count(1); n != 3 {
		t.Errorf("%d at once, want 3", n)
	}
	if n := count(2); n != 3 {
		t.Errorf("another uid: %d at once, want 3", n)
	}
	now = now.Add(2 * time.Second)
	if n := count(1); n != 2 {
		t.Errorf("%d after two seconds, want 2", n)
	}
	now = now.Add(time.Hour)
	if n := count(1); n != 3 {
		t.Errorf("%d after an hour, want 3", n)
	}
	for uid := range uint32(5000) { // a user who has many uids
		s.allow(10+uid, p, now)
	}
	if len(s.due) > maxLimited+1 {
		t.Errorf("%d uids are remembered", len(s.due))
	}
	if n := count(90000); n != 0 {
		t.Errorf("a uid that nobody remembers comes %d times", n)
	}
	now = now.Add(time.Minute)
	if n := count(90000); n != 3 || len(s.due) != 1 {
		t.Errorf("afterwards: %d times, %d remembered", n, len(s.due))
	}
}

func TestGuestsAreForgotten(t *testing.T) {
	now := time.Unix(1e9, 0)
	g := &allowList{}
	for uid := range uint32(1000) {
		g.add(uid, now)
	}
	if !g.has(1, now) || len(g.until) != maxKnown || g.has(1, now.Add(knownFor)) {
		t.Errorf("%d guests", len(g.until))
	}
}

// openDir is a folder that other users may look into, as t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sockets serves all three sockets in one folder, with an audit file and a log.
type sockets struct {
	dir string
	pam *PAM
	au  *audit.Log
}

func (d *sockets) socket(name string) string { return filepath.Join(d.dir, name) }

// grown returns how many bytes audit file and log have.
func (d *sockets) grown(t *testing.T) int64 {
	t.Helper()
	var n int64
	for _, name := range []string{"audit", "log"} {
		info, err := os.Stat(d.socket(name))
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// openFiles is sockets that serve nothing yet, and its log.
func openFiles(t *testing.T) (*sockets, *slog.Logger) {
	t.Helper()
	d := &sockets{dir: openDir(t)}
	file, err := os.Create(d.socket("log"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(file, nil))
	if d.au, err = audit.Open(audit.Config{File: d.socket("audit")}, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.au.Close()
		_ = file.Close()
		audittest.Check(t, d.socket("audit"))
	})
	return d, log
}

func openSockets(t *testing.T, f loginFunc) *sockets {
	t.Helper()
	d, log := openFiles(t)
	listen := func(name string) *net.UnixListener {
		l, err := Listen(d.socket(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	d.pam = &PAM{Logins: func() Loginer { return f }, MaxLogins: 100, Timeout: time.Minute, hello: seconds, Audit: d.au, Log: log}
	control, _, _ := selfDesk(t, everything)
	control.Audit, control.Log = d.au, log
	srv := control.Server(context.Background())
	if srv.ReadHeaderTimeout > 5*time.Second || srv.ReadTimeout > 10*time.Second || srv.IdleTimeout > 5*time.Second || helloTimeout > 5*time.Second {
		t.Error("who says nothing is waited for too long")
	}
	srv.ReadHeaderTimeout = seconds
	metrics := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: seconds}
	done := make(chan error, 3)
	ctx, end := context.WithCancel(context.Background())
	pl, cl, ml := listen("pam"), listen("control"), listen("metrics")
	go func() { done <- d.pam.Serve(ctx, pl) }()
	go func() { done <- srv.Serve(control.Gate(cl)) }()
	go func() { done <- metrics.Serve(metricsGate(ml, d.au, log)) }()
	t.Cleanup(func() {
		_ = pl.Close()
		end()
		_ = srv.Close()
		_ = metrics.Close()
		for range 3 {
			<-done
		}
		control.Wait()
	})
	return d
}

// seconds are a little shorter in tests.
const seconds = 500 * time.Millisecond

// mob is a child of the test that is somebody else: it holds connections to a
// socket and says how many were not closed within the time it waited.
func mob(call []string) int {
	var n, held int
	if _, err := fmt.Sscan(call[3], &n); err != nil {
		fmt.Println(err)
		return 1
	}
	how, open := call[2], make([]net.Conn, 0, n)
	if how == "in a row" {
		if err := knock(call[0], n); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(0)
		return 0
	}
	for range n {
		c, err := patientDial(call[0])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		if how == "oversized" {
			_, _ = c.Write(append([]byte{0, 1, 0, 0, 'H'}, make([]byte, 65535)...))
		}
		open = append(open, c)
	}
	if how == "byte by byte" {
		go drip(open)
	}
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			held++
		}
	}
	fmt.Println(held)
	return 0
}

// knock connects n times and hangs up each time, as fast as the kernel lets it: while
// the queue of the socket is full connect(2) waits.
func knock(socket string, n int) error {
	for range n {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.EINTR
		for errors.Is(err, unix.EINTR) { // the runtime's own signals
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
		}
		if err = errors.Join(err, unix.Close(fd)); err != nil {
			return err
		}
	}
	return nil
}

// drip sends a byte at a time, of a head that never ends.
func drip(open []net.Conn) {
	for text := "\x00\x00\x40\x00" + strings.Repeat("GET /", 1000); text != ""; text = text[1:] {
		for _, c := range open {
			_, _ = c.Write([]byte(text[:1]))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// Whatever somebody who is not root does to a socket, it is over within seconds
// and leaves nothing behind; and meanwhile root is served on every one of them.
func TestEverySocketHoldsOut(t *testing.T) {
	for how, n := range map[string]int{"held open": 3000, "byte by byte": 100, "oversized": 1000, "in a row": 100_000} {
		for _, name := range []string{"pam", "control", "metrics"} {
			t.Run(how+" "+name, func(t *testing.T) {
				d := openSockets(t, func(context.Context, mfa.Request, login.Prompter) (mfa.Verdict, error) {
					return mfa.Verdict{Outcome: mfa.Accepted}, nil
				})
				before := descriptors(t)
				cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
				cmd.Env = []string{callEnv + "=" + strings.Join([]string{d.socket(name), "MOB", how, fmt.Sprint(n)}, "\n"), "GORACE=atexit_sleep_ms=0"}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUID, Gid: otherUID}}
				var out strings.Builder
				cmd.Stdout = &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				for running := true; running; {
					select {
					case err := <-ended:
						if err != nil {
							t.Fatalf("%v: %s", err, out.String())
						}
						running = false
					default:
						expectLogin(t, d.socket("pam"))
						if most := descriptors(t) - before; most > 200 {
							t.Fatalf("%d descriptors more", most)
						}
						for _, path := range []string{"control", "metrics"} {
							expectAnswer(t, d.socket(path))
						}
					}
				}
				if held := strings.TrimSpace(out.String()); held != "0" {
					t.Errorf("%s connections are still held", held)
				}
				for late := time.Now().Add(10 * time.Second); descriptors(t) > before+20 || d.pam.Running() > 0; {
					if time.Now().After(late) {
						t.Fatalf("%d descriptors were there before, now %d; %d logins", before, descriptors(t), d.pam.Running())
					}
					time.Sleep(10 * time.Millisecond)
				}
				if n := d.grown(t); n > 20_000 {
					t.Errorf("audit file and log have %d bytes", n)
				}
			})
		}
	}
}

// patientDial connects, however many stand in the queue of the socket.
func patientDial(socket string) (net.Conn, error) {
	for {
		c, err := net.Dial("unix", socket)
		if !errors.Is(err, unix.EAGAIN) {
			return c, err
		}
		runtime.Gosched()
	}
}

// expectLogin asks as root and wants to be let in.
func expectLogin(t *testing.T, socket string) {
	t.Helper()
	conn, err := patientDial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := conn.(*net.UnixConn)
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	send(t, c, wiretest.Hello(mfa.Request{User: "alice"}))
	expect(t, c, wire.Done, "s")
}

// expectAnswer asks for a page as root and wants any answer.
func expectAnswer(t *testing.T, socket string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return patientDial(socket)
	}}}
	resp, err := c.Get("http://mfad/nothing")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("%s: %s", socket, resp.Status)
	}
}

// More logins than this process has descriptors for are not promised, and that is told.
func TestMostLogins(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	want := int(min(limit.Cur, 1<<30))
	if got := MostLogins(want, logger); got < 1 || got >= want || !strings.Contains(log.String(), "LimitNOFILE") {
		t.Errorf("%d of %d, %q", got, want, &log)
	}
	log.Reset()
	if got := MostLogins(1, logger); got != 1 || log.Len() > 0 {
		t.Errorf("one: %d, %q", got, &log)
	}
}
