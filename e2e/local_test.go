package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// as opens a terminal with a program that a runs.
func (s *site) as(a account, args ...string) *terminal {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = a.home
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + a.home, "USER=" + a.name, "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(a.uid), Gid: uint32(a.uid), Groups: []uint32{uint32(a.uid)},
	}}
	return open(s.t, cmd)
}

// greet is a shell command that prints welcome and who it runs as.
const greet = "echo let-in-e$((1+1))e as $(id -un)"

// maySudo lets a use sudo, with one try and asked each time.
func maySudo(t *testing.T, a account) {
	t.Helper()
	rule := "Defaults:" + a.name + " !lecture, timestamp_timeout=0, passwd_tries=1\n" + a.name + " ALL=(ALL:ALL) ALL\n"
	ok(t, os.WriteFile("/etc/sudoers.d/"+a.name, []byte(rule), 0o440))
}

func TestSudo(t *testing.T) {
	s := newSite(t)
	s.stack("sudo", s.passwordThenCode()...)
	s.startDaemon()
	alice := s.newUser("alice")
	maySudo(t, alice)

	t.Run("right code", func(t *testing.T) {
		c := s.as(alice, "sudo", "sh", "-c", greet)
		c.expect(t, `assword for [^\n]*: $`)
		c.send(password)
		c.expect(t, codePrompt(alice))
		c.send(s.code(alice, 1))
		if said := c.expectIn(t); !strings.Contains(said, "as root") {
			t.Errorf("sudo ran as %q", said)
		}
	})
	t.Run("wrong codes", func(t *testing.T) {
		c := s.as(alice, "sudo", "sh", "-c", greet)
		c.expect(t, `assword for [^\n]*: $`)
		c.send(password)
		c.expect(t, codePrompt(alice))
		bad := wrong(s.code(alice, 2))
		for range 2 {
			c.send(bad)
			c.expect(t, `not right[^\0]*Code[^\n]*: $`)
		}
		c.send(bad)
		c.expect(t, `not right[^\0]*`+pressEnter)
		c.send("")
		c.expectOut(t)
		s.expectFailures(alice, 3)
	})
}

func TestSu(t *testing.T) {
	s := newSite(t)
	s.stack("su", s.passwordThenCode()...)
	s.startDaemon()
	alice, bob := s.newUser("alice"), s.newUser("bob")

	t.Run("right code", func(t *testing.T) {
		c := s.as(alice, "su", bob.name, "-c", greet)
		c.expect(t, `assword: $`)
		c.send(password)
		c.expect(t, codePrompt(bob))
		c.send(s.code(bob, 1))
		if said := c.expectIn(t); !strings.Contains(said, "as "+bob.name) {
			t.Errorf("su ran as %q", said)
		}
		s.expectLetters(alice, 0)
	})
	t.Run("wrong codes", func(t *testing.T) {
		c := s.as(alice, "su", bob.name, "-c", greet)
		c.expect(t, `assword: $`)
		c.send(password)
		c.expect(t, codePrompt(bob))
		bad := wrong(s.code(bob, 2))
		for range 2 {
			c.send(bad)
			c.expect(t, `not right[^\0]*Code[^\n]*: $`)
		}
		c.send(bad)
		c.expectOut(t)
		s.expectFailures(bob, 3)
	})
}

// One user who asks through su, which is root, does not fill the room that is kept for root.
func TestOneAskerFillsNoRoom(t *testing.T) {
	s := newSite(t)
	s.set("server.max_logins = 16", "code.max_sends = 100")
	s.stack("su", s.passwordThenCode()...)
	s.stack("chsh", s.passwordThenCode()...) // which says nothing of who asks
	s.startDaemon()
	alice, mallory := s.newUser("alice"), s.newUser("mallory")
	asked := 0
	for i := range 20 {
		args := []string{"su", mallory.name, "-c", greet}
		if i%2 == 0 {
			args = []string{"chsh", "-s", "/bin/sh"}
		}
		c := s.as(mallory, args...)
		c.expect(t, `assword: $`)
		c.send(password)
		if said := c.expect(t, `Code[^\n]*: $|cannot be checked right now`); strings.Contains(said, "Code") {
			asked++
		}
	}
	if asked != 9 {
		t.Errorf("%d of mallory's 20 wait at once, want 9", asked)
	}
	c := s.as(alice, "su", alice.name, "-c", greet)
	c.expect(t, `assword: $`)
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectIn(t)
}

// Any user can take the address of the metrics before mfad does, or while it restarts: people log in
// all the same, and the status says so.
func TestTakenMetricsAddressKeepsNobodyOut(t *testing.T) {
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	taken, err := net.Listen("tcp", listen)
	ok(t, err)
	defer taken.Close()
	s, alice := ready(t, "metrics.listen = "+quoted(listen))
	s.login(alice, 1)
	status := open(t, exec.Command(artefact("mfactl"), "--socket", s.path("run/control.sock"), "status"))
	expectSaid(t, unwrapped(status.expectStatus(t, 0)), "metrics: serve metrics.listen: listen tcp "+listen+": bind: address already in use")
}
