package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// flood starts a Perl program as a, who may have many descriptors, and waits until
// it says that it has begun. It ends with the test, or by the function returned.
func (s *site) flood(a account, program string) (end func()) {
	s.t.Helper()
	uid := strconv.Itoa(a.uid)
	out, stop := service(s.t, exec.Command("prlimit", "--nofile=16384:16384", "setpriv", "--reuid="+uid, "--regid="+uid, "--clear-groups",
		"perl", "-MSocket", "-e", `$SIG{PIPE} = "IGNORE"; $| = 1;
		sub con { socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!"; connect($s, sockaddr_un($_[0])) or die "connect: $!"; $s }
		`+program, s.path("run/pam.sock"), s.path("run/control.sock")))
	awaitText(s.t, out, 0, "begun")
	return func() { _ = stop(syscall.SIGKILL) }
}

// usual is the median time of five logins of users by ssh and email.
func (s *site) usual(a account, first int) time.Duration {
	s.t.Helper()
	var took []time.Duration
	for i := range 5 {
		began := time.Now()
		s.login(a, first+i)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[2]
}

// daemonFiles returns how many descriptors the daemon has open.
func (s *site) daemonFiles() int {
	s.t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.daemonPID()))
	ok(s.t, err)
	return len(names)
}

// daemonPID is what mfactl status says.
func (s *site) daemonPID() int {
	s.t.Helper()
	for line := range strings.Lines(s.mustControl("status")) {
		for word := range strings.FieldsSeq(line) {
			if pid, err := strconv.Atoi(strings.Trim(word, ",;()")); err == nil && strings.Contains(strings.ToLower(line), "process") {
				return pid
			}
		}
	}
	s.t.Fatal("mfactl status tells no process")
	return 0
}

// written returns the size of the audit file and of what the daemon logged.
func (s *site) written() int {
	s.t.Helper()
	info, err := os.Stat(s.path("audit.jsonl"))
	ok(s.t, err)
	return int(info.Size()) + s.log.len()
}

// awaitFiles waits until the daemon has no more descriptors than before.
func (s *site) awaitFiles(before int) {
	s.t.Helper()
	for late := time.Now().Add(patience); s.daemonFiles() > before+4; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			s.t.Fatalf("the daemon had %d descriptors before and has %d", before, s.daemonFiles())
		}
	}
}

// Connections that nobody says a word on keep nobody out and nobody waiting.
func TestIdleConnectionsOfAUser(t *testing.T) {
	port := freePort(t)
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	s, alice := ready(t, "code.max_sends = 100", `log.level = "info"`, "metrics.listen = "+quoted(listen))
	eve := newAccount(t, "eve")
	before := s.usual(alice, 1)
	files, written, goroutines := s.daemonFiles(), s.written(), goroutinesAt(t, listen)
	end := s.flood(eve, fmt.Sprintf(`for my $p (@ARGV) { push @k, con($p) for 1 .. 3000 }
		for (1 .. 3000) { socket(my $s, PF_INET, SOCK_STREAM, 0) or die; connect($s, sockaddr_in(%d, INADDR_LOOPBACK)) or die; push @k, $s }
		print "begun\n"; sleep 600`, port))
	if n := s.daemonFiles(); n > files+100 {
		t.Errorf("%d descriptors more", n-files)
	}
	if n := s.written() - written; n > 10_000 {
		t.Errorf("audit and log grew by %d bytes", n)
	}
	during := s.usual(alice, 6)
	s.awaitFiles(files) // while all of them are open at the other end
	eventually(t, "the goroutines of the flood end", func() bool { return goroutinesAt(t, listen) <= goroutines+4 })
	end()
	after := s.usual(alice, 11) // the machine may have more to do by now
	t.Logf("a login takes %v, with 9000 idle connections %v, behind them %v", before, during, after)
	if during > 2*max(before, after) {
		t.Errorf("a login takes %v, with 9000 idle connections %v, behind them %v", before, during, after)
	}
	s.mustControl("show", alice.name)
}

// goroutinesAt returns how many goroutines the daemon's metrics tell of.
func goroutinesAt(t *testing.T, listen string) int {
	t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		r, err := http.Get("http://" + listen + "/metrics")
		if err != nil && time.Now().Before(late) {
			continue // its places are taken until the idle ones are closed
		}
		ok(t, err)
		text, err := io.ReadAll(r.Body)
		ok(t, errors.Join(err, r.Body.Close()))
		m := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("the metrics tell of no goroutines: %s", text)
		}
		n, err := strconv.Atoi(string(m[1]))
		ok(t, err)
		return n
	}
}

// Whatever a user sends, as fast as they can, writes a few lines and keeps nobody
// out; and the daemon is as before afterwards.
func TestFloodOfAUser(t *testing.T) {
	for name, program := range map[string]string{
		"connections": `while (1) { close con($_) for @ARGV }`,
		"long hello":  `my $f = pack("N C n N", 49008, ord "H", 1, 0) . pack("C n", 2, 49000 - 2) . "\x01" x 49000; while (1) { my $s = con($ARGV[0]); syswrite $s, $f; close $s }`,
		"for root":    `my $h = pack("C n N", ord "H", 1, 0) . pack("C n a*", 1, 4, "sshd") . pack("C n a*", 2, 4, "root"); while (1) { my $s = con($ARGV[0]); syswrite $s, pack("N", length $h) . $h; sysread $s, my $b, 99; close $s }`,
		"requests":    `while (1) { my $s = con($ARGV[1]); syswrite $s, "DELETE /v1/sessions?a;b HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n"; sysread $s, my $b, 999; close $s }`,
		"self":        `while (1) { my $s = con($ARGV[1]); syswrite $s, "POST /v1/self/enroll HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: mfa-conversation/1\r\n\r\n"; sysread $s, my $b, 99; close $s }`,
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := ready(t, "code.max_sends = 100", `log.level = "info"`)
			eve := newAccount(t, "eve")
			usual := s.usual(alice, 1)
			files, written := s.daemonFiles(), s.written()
			end := s.flood(eve, `print "begun\n"; `+program)
			during := s.usual(alice, 6)
			t.Logf("a login takes %v, during the flood %v", usual, during)
			if during > 10*usual {
				t.Errorf("a login takes %v, during the flood %v", usual, during)
			}
			end()
			s.awaitFiles(files)
			logins := 10_000 // of alice
			if n := s.written() - written; n > 60_000+logins {
				t.Errorf("audit and log grew by %d bytes", n)
			}
		})
	}
}
