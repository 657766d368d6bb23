package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// talk logs in as the module in sshd does, types the codes where one is asked for, then goes
// away, and returns how it ended and all that was said.
func (s *site) talk(a account, codes ...string) (mfa.Outcome, string) {
	s.t.Helper()
	return s.talkWith(a, func(string) string {
		if len(codes) == 0 {
			return wiretest.Leave
		}
		code := codes[0]
		codes = codes[1:]
		return code
	})
}

// talkWith is talk with what returns each code.
func (s *site) talkWith(a account, code func(prompt string) string) (mfa.Outcome, string) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.path("run/pam.sock"))
	ok(s.t, err)
	defer func() { _ = conn.Close() }()
	var said strings.Builder
	person := wiretest.Person{Code: code}
	hello := wiretest.Hello(mfa.Request{Service: "sshd", User: a.name, RHost: "127.0.0.1"})
	outcome, err := wiretest.Talk(conn, hello, func(text string) { said.WriteString(text + "\n") }, func(prompt string) *wire.Frame {
		if line, stays := person.Answer(prompt); stays {
			return wiretest.Line(line)
		}
		return nil
	})
	if !errors.Is(err, wiretest.ErrLeft) {
		ok(s.t, err)
	}
	return outcome, said.String()
}

// Locks of files can be lost: a lock server of NFS restarts, somebody copies the folder's lock
// away. Here flock(2) says yes to a second mfad on the same store. The first one notices before
// its next write, decides nothing any more, says why, and leaves what the second one writes alone.
func TestLostLockOfTheStore(t *testing.T) {
	first := newSite(t)
	first.settings["lockout.failures"] = "3"
	first.startDaemon()
	alice, bob := first.newUser("alice"), first.newUser("bob")
	if outcome, said := first.talk(alice, "000000"); outcome == mfa.Accepted {
		t.Fatal(said)
	}

	second := newSite(t)
	for _, key := range []string{"store.path", "secrets.key_file", "lockout.failures"} {
		second.settings[key] = first.settings[key]
	}
	second.under = []string{"strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:retval=0"}
	second.startDaemon()

	for _, a := range []account{alice, bob} {
		outcome, said := first.talk(a, "000000")
		if outcome == mfa.Accepted {
			t.Errorf("%s is let in", a.name)
		}
		expectSaid(t, said, "cannot be checked")
	}
	out, status := first.control("status")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	expectSaid(t, out, "another daemon took")
	expectSaid(t, strings.Join(first.findings("sshd"), "\n"), "store")

	second.talk(alice, "111111", "222222", "333333")
	ok(t, first.stopDaemon())
	_, said := second.talk(alice)
	expectSaid(t, said, "locked")
	ok(t, second.stopDaemon())

	first.startDaemon()
	_, said = first.talk(alice)
	expectSaid(t, said, "locked")
}

// On a disk that takes a second for each sync logins wait for each other's writes, and each is
// decided: who types the right code is let in, wrong codes are counted.
func TestSlowDisk(t *testing.T) {
	s := newSite(t)
	s.settings["lockout.failures"] = "3"
	s.startDaemon()
	users := make([]account, 8)
	for i := range users {
		users[i] = s.newUser(fmt.Sprintf("user%d", i))
	}
	guessed := s.newUser("guessed")
	ok(t, s.stopDaemon())
	s.under = []string{"strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,pwrite64", "-e", "inject=fsync,fdatasync,pwrite64:delay_enter=1s"}
	s.startDaemon()
	var all sync.WaitGroup
	for _, a := range users {
		all.Go(func() {
			if outcome, said := s.talkWith(a, func(string) string { return s.code(a, 1) }); outcome != mfa.Accepted {
				t.Errorf("%s: %v\n%s", a.name, outcome, said)
			}
		})
	}
	for range 4 {
		all.Go(func() { s.talk(guessed, "000000", "000001", "000002") })
	}
	all.Wait()
	_, said := s.talk(guessed)
	expectSaid(t, said, "locked")
	if n := len(s.events(guessed, "factor.failed")); n != 3 {
		t.Errorf("%d wrong codes were looked at", n)
	}
}

// On a file system without a free inode who is enrolled logs in; who is to be enrolled is told
// why that does not work, and nothing of it is left.
func TestNoInodes(t *testing.T) {
	s := newSite(t)
	store := s.path("store")
	ok(t, os.Mkdir(store, 0o700))
	ok(t, mount("tmpfs", store, "tmpfs", 0, "size=64m,nr_inodes=64,mode=0700"))
	t.Cleanup(func() { _ = unix.Unmount(store, unix.MNT_DETACH) })
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice, bob := s.newUser("alice"), newAccount(t, "bob")
	var err error
	for n := 0; err == nil; n++ {
		var f *os.File
		if f, err = os.Create(filepath.Join(store, fmt.Sprint("fill", n))); err == nil {
			_ = f.Close()
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	s.login(alice, 1)
	out, status := s.control("enroll", bob.name, "--email", bob.email)
	if status == 0 {
		t.Errorf("enrolled: %s", out)
	}
	expectSaid(t, out, "no space left on device", "inode")
	expectSaid(t, strings.Join(s.findings("sshd"), "\n"), "disk")
	s.restartDaemon()
	s.login(alice, 2)
	fills, err := filepath.Glob(filepath.Join(store, "fill*"))
	ok(t, err)
	for _, name := range fills {
		ok(t, os.Remove(name))
	}
	s.mustControl("enroll", bob.name, "--email", bob.email)
	s.login(alice, 3)
}
