package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// expectDenied ends the test unless a is turned away behind the right password.
func (s *site) expectDenied(a account) string {
	s.t.Helper()
	c := s.ssh(a)
	c.expect(s.t, `Password: $`)
	c.send(password)
	return c.expectOut(s.t)
}

// expectSaid ends the test unless text holds every word.
func expectSaid(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not said in:\n%s", w, text)
		}
	}
}

// replace changes one text of a file.
func replace(t *testing.T, name, old, text string) {
	t.Helper()
	b, err := os.ReadFile(name)
	ok(t, err)
	if !strings.Contains(string(b), old) {
		t.Fatalf("%s does not hold %q:\n%s", name, old, b)
	}
	ok(t, os.WriteFile(name, []byte(strings.Replace(string(b), old, text, 1)), 0o600))
}

func TestBadConfig(t *testing.T) {
	for name, change := range map[string]struct {
		key, value string
		words      []string
	}{
		"unknown key":       {"code.digit", "8", []string{"code.digit", "digits"}},
		"value not allowed": {"code.digits", "99", []string{"code.digits", "6"}},
		"wrong type":        {"code.lifetime", "600", []string{"code.lifetime"}},
		"not TOML":          {"log.level", `"info`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.stack("sshd", s.passwordThenCode()...)
			s.settings[change.key] = change.value
			conf := s.writeConfig()
			text, err := os.ReadFile(conf)
			ok(t, err)
			before, _, _ := strings.Cut(string(text), change.key[strings.LastIndex(change.key, ".")+1:]+" = ")
			line := fmt.Sprintf("%s:%d", conf, 1+strings.Count(before, "\n"))

			expectSaid(t, s.refusedStart(), append(change.words, line)...)
			out, err := exec.Command(artefact("mfad"), "--config", conf, "--check").CombinedOutput()
			if err == nil {
				t.Errorf("mfad --check accepts it: %s", out)
			}
			expectSaid(t, string(out), append(change.words, line)...)
			s.sshd()
			s.expectDenied(newAccount(t, "alice"))
		})
	}
}

func TestBadReloadKeepsTheOldConfig(t *testing.T) {
	s, alice := ready(t)
	s.settings["code.digit"] = "8"
	conf := s.writeConfig()
	from := s.log.len()
	ok(t, s.signal(syscall.SIGHUP))
	awaitText(t, s.log, from, quotedPattern(conf)+`:\d+[^\n]*code\.digit[^\n]*\n`)
	s.login(alice, 1)

	delete(s.settings, "code.digit")
	s.settings["code.digits"] = "8"
	s.writeConfig()
	from = s.log.len()
	ok(t, s.signal(syscall.SIGHUP))
	awaitText(t, s.log, from, `(?i)reloaded`)
	s.login(alice, 2)
	if code := s.code(alice, 2); len(code) != 8 {
		t.Errorf("after a reload with 8 digits the code has %d", len(code))
	}
}

func TestReloadLeavesRunningLoginsAlone(t *testing.T) {
	s, alice := ready(t, `code.resend_after = "0s"`)
	c := s.ssh(alice)
	c.toCode(s, alice)
	from := s.log.len()
	ok(t, s.signal(syscall.SIGHUP))
	awaitText(t, s.log, from, `(?i)reloaded`)
	c.send("r")
	c.expect(t, `Code[^\n]*: $`)
	c.send(s.code(alice, 2))
	c.expectIn(t)
}

func TestBadRecord(t *testing.T) {
	s, alice := ready(t)
	record := s.path("store/users/" + alice.name + ".toml")
	good, err := os.ReadFile(record)
	ok(t, err)
	lines := strings.Count(string(good), "\n")
	bad := append(good, "mobile = \"+1\" oops\n"...)
	ok(t, os.WriteFile(record, bad, 0o600))
	from := s.log.len()
	if said := s.expectDenied(alice); strings.Contains(said, "enroll") {
		t.Errorf("a bad record counts as not enrolled: %q", said)
	}
	awaitText(t, s.log, from, fmt.Sprintf(`%s[^\n]*line %d`, quotedPattern(record), lines+1))
	bob := s.newUser("bob")
	s.login(bob, 1) // and harms nobody else

	ok(t, os.WriteFile(record, good, 0o600)) // mended by hand, without a restart
	s.login(alice, 1)
}

func TestEnrollmentEditedByHandCountsAtOnce(t *testing.T) {
	s, alice := ready(t)
	replace(t, s.path("store/users/"+alice.name+".toml"), alice.email, "elsewhere@example.com")
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expect(t, `e\*\*\*e@example\.com[^\0]*Code[^\n]*: $`)
	code, err := s.waitCode("elsewhere@example.com", 1)
	ok(t, err)
	c.send(code)
	c.expectIn(t)
}

func TestAccountWithAnotherUIDIsNotEnrolled(t *testing.T) {
	s, alice := ready(t, "policy.enroll_at_login = false")
	replace(t, "/etc/passwd", fmt.Sprintf("%s:x:%d:", alice.name, alice.uid), fmt.Sprintf("%s:x:%d:", alice.name, alice.uid+5000))
	ok(t, os.Chmod("/etc/passwd", 0o644))
	expectSaid(t, s.expectDenied(alice), "administrator")
	s.expectLetters(alice, 0)
}

func TestUnreadableKey(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	c.close()
	ok(t, s.stop(syscall.SIGTERM))
	key := s.path("key")
	good, err := os.ReadFile(key)
	ok(t, err)

	for name, spoil := range map[string]func() error{
		"too short":        func() error { return os.WriteFile(key, good[:7], 0o600) },
		"readable for all": func() error { return errors.Join(os.WriteFile(key, good, 0o600), os.Chmod(key, 0o644)) },
		"a folder":         func() error { return os.Mkdir(key, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, os.RemoveAll(key))
			ok(t, spoil())
			expectSaid(t, s.refusedStart(), key)
			s.expectDenied(alice)
		})
	}
	ok(t, os.RemoveAll(key))
	ok(t, os.WriteFile(key, good, 0o600))
	s.startDaemon()
	c = s.ssh(alice)
	c.toCode(s, alice)
	c.send(code) // sent before; nothing is lost
	c.expectIn(t)
}

func TestSecondDaemonOnTheSameStoreIsRefused(t *testing.T) {
	s, alice := ready(t)
	expectSaid(t, s.refusedStart(), s.path("store"))
	s.login(alice, 1) // the first goes on
}

func TestFullDisk(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.passwordThenCode()...)
	store := s.path("store")
	ok(t, os.Mkdir(store, 0o700))
	ok(t, mount("tmpfs", store, "tmpfs", 0, "size=1m,mode=0700"))
	t.Cleanup(func() { _ = unix.Unmount(store, unix.MNT_DETACH) })
	s.startDaemon()
	s.sshd()
	users := make([]account, 60)
	for i := range users {
		users[i] = s.newUser(fmt.Sprintf("user%02d", i))
	}
	s.login(users[0], 1)
	fill := filepath.Join(store, "fill")
	fillDisk(t, fill)

	out, status := s.control("enroll", newAccount(t, "late").name, "--email", "late@example.com")
	if status == 0 {
		t.Errorf("enrolled on a full disk: %s", out)
	}
	expectSaid(t, out, store, "no space left on device", "make room")
	from := s.log.len()
	last := s.fillDatabase(users[1:])
	awaitText(t, s.log, from, quotedPattern(store)+`[^\n]*make room[^\n]*no space left on device`)
	s.expectLetters(last, 0) // commit, then send
	expectSaid(t, s.expectDenied(last), "cannot be checked")

	ok(t, os.Remove(fill))
	s.login(last, 1)
	s.restartDaemon()
	s.login(last, 2)
	c := s.ssh(users[1]) // sent while the disk was full, and not lost
	c.toCode(s, users[1])
	c.send(s.code(users[1], 1))
	c.expectIn(t)
	s.expectLetters(users[1], 1)
}

// fillDatabase has users ask for codes until the free pages of the database are
// used up, and returns the one who was denied.
func (s *site) fillDatabase(users []account) account {
	s.t.Helper()
	for _, u := range users {
		if f := s.firstFrame(u); f.Type != wire.Prompt {
			expectSaid(s.t, string(f.Payload), "cannot be checked")
			return u
		}
	}
	s.t.Fatal("a full disk denies nobody")
	return account{}
}

// firstFrame asks as the module in sshd does, and returns what the daemon says
// first.
func (s *site) firstFrame(a account) wire.Frame {
	s.t.Helper()
	conn, err := net.Dial("unix", s.path("run/pam.sock"))
	ok(s.t, err)
	defer func() { _ = conn.Close() }()
	req := mfa.Request{Service: "sshd", User: a.name, RHost: "127.0.0.1"}
	ok(s.t, wire.Write(conn, wiretest.Hello(req)))
	ok(s.t, conn.SetReadDeadline(time.Now().Add(patience)))
	f, err := wire.Read(conn)
	ok(s.t, err)
	return f
}

// fillDisk writes into name until not one byte fits.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	ok(t, err)
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	_ = f.Close()
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}
