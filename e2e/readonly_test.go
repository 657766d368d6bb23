package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onDisk puts all that the daemon keeps on a mount of its own, and returns what
// mounts it read-only (true) or writable.
func (s *site) onDisk() func(readOnly bool) {
	s.t.Helper()
	disk := s.path("disk")
	ok(s.t, os.Mkdir(disk, 0o755))
	ok(s.t, mount("tmpfs", disk, "tmpfs", 0, "mode=0755"))
	s.t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	s.set(`store.path = `+quoted(disk+"/store"), `secrets.key_file = `+quoted(disk+"/key"),
		`audit.file = `+quoted(disk+"/audit.jsonl"), `email.outbox.path = `+quoted(disk+"/outbox"))
	return func(readOnly bool) {
		s.t.Helper()
		var flags uintptr = unix.MS_REMOUNT
		if readOnly {
			flags |= unix.MS_RDONLY
		}
		ok(s.t, mount("", disk, "", flags, ""))
	}
}

// disk lets s read the mails on the disk.
func (s *site) mailsOnDisk(a account) int {
	s.t.Helper()
	found, err := readMaildir(s.path("disk/outbox"), a.email)
	ok(s.t, err)
	return len(found)
}

// On a disk that takes no writes the daemon starts, lets in who needs no second
// factor, refuses who does, says what is wrong, and goes on by itself when the disk
// takes writes again.
func TestReadOnlyDisk(t *testing.T) {
	s := newSite(t)
	setReadOnly := s.onDisk()
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice, bob, glass := s.newUser("alice"), s.newUser("bob"), newAccount(t, "glass")
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.close()
	ok(t, s.stopDaemon())
	setReadOnly(true)

	s.settings["policy.rule"] = fmt.Sprintf("[{name = \"break-glass\", users = [%q], mode = \"off\"}]", glass.name)
	s.startDaemon()
	awaitSaid(t, s.log, 0, "audit.file cannot be written")
	c = s.ssh(glass)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expectIn(t)
	expectSaid(t, s.expectDenied(bob), "cannot be checked")
	if n := s.mailsOnDisk(bob); n != 0 {
		t.Errorf("%d mails to somebody whose code cannot be kept", n)
	}
	out, status := s.control("status")
	if status != 1 || !strings.Contains(out, "takes no writes") || !strings.Contains(out, "read-only") {
		t.Errorf("status: %d\n%s", status, out)
	}
	if got := s.findings("sshd"); !strings.Contains(strings.Join(got, " "), "store") {
		t.Errorf("doctor finds %v", got)
	}

	setReadOnly(false)
	s.mustControl("status")
	c = s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.close()
	ok(t, s.stopDaemon())
}

// The policy is off: everybody gets in by the first factor alone, whatever the disk
// is like, also when it was noted last that the policy was on.
func TestReadOnlyDiskWithThePolicyOff(t *testing.T) {
	s := newSite(t)
	setReadOnly := s.onDisk()
	s.stack("sshd", s.passwordThenCode("exempt=success")...)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")
	ok(t, s.stopDaemon())
	setReadOnly(true)
	s.settings["policy.mode"] = `"off"`
	s.startDaemon()
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expectIn(t)
	ok(t, s.stopDaemon())
	setReadOnly(false)
}

// A disk that fails is known by the last write, however its mount calls it: status,
// its exit code, metrics and doctor say so, until a write goes well again.
func TestFailingDisk(t *testing.T) {
	s := newSite(t)
	port := freePort(t)
	s.settings["metrics.listen"] = quoted(fmt.Sprintf("127.0.0.1:%d", port))
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")
	s.mustControl("status")
	expectSaid(t, scrapeOf(t, port), "\nmfa_store_ok 1\n")

	mend := s.breakDisk()
	expectSaid(t, s.expectDenied(alice), "cannot be checked")
	out, status := s.control("status")
	if status != 1 || !strings.Contains(out, "the last write failed") || !strings.Contains(out, "input/output error") {
		t.Errorf("status: %d\n%s", status, out)
	}
	if out, status := s.control("status", "--json"); status != 1 || !strings.Contains(out, `"store_ok": false`) {
		t.Errorf("status --json: %d\n%s", status, out)
	}
	expectSaid(t, scrapeOf(t, port), "\nmfa_store_ok 0\n")
	if got := strings.Join(s.findings("sshd"), " "); !strings.Contains(got, "store") {
		t.Errorf("doctor finds %v", got)
	}
	s.expectLetters(alice, 0)

	mend()
	s.mustControl("status")
	expectSaid(t, scrapeOf(t, port), "\nmfa_store_ok 1\n")
	s.login(alice, 1)
}

// Wrong codes on a disk that fails count all the same: the right one behind them is refused when
// the disk takes writes again, and the lock is told and in the store.
func TestGuessesOnAFailingDisk(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	app, other := s.withApp(alice), s.withApp(bob)
	mend := s.breakDisk()
	for range 5 {
		c := s.begin(alice)
		c.expect(t, `Code: $`)
		c.send(wrong(app.code(t, time.Now())))
		expectSaid(t, c.expectOut(t), "cannot be checked")
	}
	mend()
	c := s.begin(alice)
	said := c.expect(t, `Code: $|locked`) // that, once it was written
	if strings.HasSuffix(said, "Code: ") {
		c.send(app.code(t, time.Now()))
		said = ""
	}
	expectSaid(t, unwrapped(said+c.expectOut(t)), "locked for")
	expectSaid(t, s.mustControl("show", alice.name), "locked")
	c = s.begin(bob)
	c.expect(t, `Code: $`)
	c.send(other.code(t, time.Now()))
	c.expectIn(t)
	ok(t, s.stopDaemon())
	s.startDaemon()
	expectSaid(t, unwrapped(s.expectDenied(alice)), "locked for")
}

// breakDisk makes every sync of the daemon fail as on a disk that dies, with
// strace(1), and returns what ends it.
func (s *site) breakDisk() (mend func()) {
	s.t.Helper()
	cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(s.pid),
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	cmd.Stderr = &syslog
	ok(s.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(s.t, "strace holds the daemon", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
		ok(s.t, err)
		return !strings.Contains(string(text), "TracerPid:\t0\n")
	})
	mended := false
	mend = func() {
		if !mended {
			mended = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
		}
	}
	s.t.Cleanup(mend)
	return mend
}

// scrapeOf returns the metrics that a daemon serves.
func scrapeOf(t *testing.T, port int) string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	ok(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\n\r\n")
	ok(t, err)
	var all record
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		_, _ = all.Write(buf[:n])
		if err != nil {
			return all.String()
		}
	}
}
