package e2e

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// debian13 is the folder of a small Debian 13, kept between runs.
var debian13 = debianFolder("trixie")

// shareWithDebian13 shows the private machine within the folder: its users, PAM
// stacks, sockets and devices. The libraries stay Debian 13's.
var shareWithDebian13 = sync.OnceValue(func() error {
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/pam.d", "/proc", "/dev", "/run"} {
		if err := mount(name, debian13+name, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	return copyFile(debian13Module, artefact("pam_mfa.so"))
})

// debian13Module is the module where both see it.
const debian13Module = base + "/pam_mfa.so"

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// onDebian13 starts Debian 13's sshd for a site whose daemon runs, and lets its
// ssh be Debian 13's too.
func onDebian13(t *testing.T, s *site) {
	t.Helper()
	if _, err := os.Stat(debian13 + "/usr/sbin/sshd"); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skip("no Debian 13: e2e/debian.sh needs the network and the package debootstrap, once")
		}
		t.Fatal(err)
	}
	ok(t, shareWithDebian13())
	s.root, s.modulePath = debian13, debian13Module
	cmd := exec.Command("/usr/bin/ssh", "-V")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: debian13}
	cmd.Dir = "/"
	version, err := cmd.CombinedOutput()
	ok(t, err)
	if !strings.HasPrefix(string(version), "OpenSSH_10.") {
		t.Fatalf("the ssh of Debian 13 is %s", version)
	}
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd("PerSourcePenalties no")
}

func TestDebian13(t *testing.T) {
	s, clock := daemonInProcess(t)
	onDebian13(t, s)
	alice := newAccount(t, "alice")

	c := narrow(t, s.begin(alice))
	c.pick(t, offerApp, "")
	p := c.addApp(t, clock)
	codes := c.keep(t)
	c.expectIn(t)
	expectNarrow(t, c, alice)
	s.loginByApp(alice, p, clock)
	last := clock.now()
	s.refusedAsUsed(t, alice, p.code(t, last))
	s.refusedAsUsed(t, alice, p.code(t, last.Add(-p.period)))

	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(codes[0])
	expectSaid(t, c.expectInAfter(t), "9 backup codes are left")

	t.Run("email, with a connection that drops", func(t *testing.T) {
		bob := newAccount(t, "bob")
		c := narrow(t, s.begin(bob))
		c.pick(t, offerEmail, "")
		c.expect(t, emailPrompt)
		c.send(bob.email)
		c.expect(t, codePrompt(bob))
		code := s.code(bob, 1)
		c.close()
		c = narrow(t, s.begin(bob))
		c.expect(t, ` ago[^\0]*`+codeWanted)
		c.send(code)
		c.keep(t)
		c.expectIn(t)
		expectNarrow(t, c, bob)
		s.expectLetters(bob, 1)
		s.login(bob, 2)
	})
	t.Run("wrong codes", func(t *testing.T) {
		c := s.begin(alice)
		for range 3 {
			c.expect(t, codeOrMenu)
			c.send(wrong(p.code(t, clock.step(p.period))))
		}
		c.expectOut(t)
		s.expectFailures(alice, 3)
	})
}
