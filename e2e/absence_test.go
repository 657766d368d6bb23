package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDaemonNotRunningIsDenied(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.passwordThenCode("unavailable=deny")...)
	s.sshd()
	alice := newAccount(t, "alice")
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	start := time.Now()
	c.send(password)
	said := c.expectOut(t)
	if took := time.Since(start); took > 5*time.Second { // a second, on a machine that is busy
		t.Errorf("denied only after %v", took)
	}
	if !strings.Contains(said, "cannot be checked") {
		t.Errorf("the user is told %q", said)
	}
}

func TestDaemonNotRunningIsIgnoredWhenToldSo(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.passwordThenCode("unavailable=ignore")...)
	s.sshd()
	alice := newAccount(t, "alice")
	from := syslog.len()
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expectIn(t)
	awaitText(t, &syslog, from, `<8[0-2]>[^\n]*pam_mfa[^\n]*`) // facility authpriv; emerg, alert or crit
	if text := syslog.String()[from:]; !strings.Contains(text, alice.name) || !strings.Contains(text, "second factor") {
		t.Errorf("the log does not name the user and the second factor: %q", text)
	}
}

func TestDaemonKilledInTheMiddleIsDenied(t *testing.T) {
	for _, unavailable := range []string{"deny", "ignore"} {
		t.Run(unavailable, func(t *testing.T) {
			s := newSite(t)
			s.stack("sshd", s.passwordThenCode("unavailable="+unavailable)...)
			s.startDaemon()
			s.sshd()
			alice := s.newUser("alice")
			c := s.ssh(alice)
			c.toCode(s, alice)
			code := s.code(alice, 1)
			_ = s.stop(syscall.SIGKILL)
			c.send(code)
			c.expectOut(t)

			s.startDaemon() // the store took no harm, and neither did sshd
			c = s.ssh(alice)
			c.toCode(s, alice)
			c.send(code)
			c.expectIn(t)
		})
	}
}

func TestStoppedDaemonLetsRunningLoginsEnd(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop(syscall.SIGTERM) }()
	eventually(t, "mfad takes no new logins", func() bool {
		_, err := os.Stat(s.path("run/pam.sock"))
		return os.IsNotExist(err) || strings.Contains(s.log.String(), "stopping")
	})
	c.send(code)
	c.expectIn(t)
	ok(t, <-stopped)
}

func TestClientGoneIsDroppedAtOnceAndNotCounted(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	code := s.code(alice, 1)
	open := s.daemonSockets()
	before := len(s.events(alice, eventLogin))
	c.close()
	eventually(t, "the daemon closes the connection", func() bool { return s.daemonSockets() < open })
	eventually(t, "the audit tells of the end", func() bool { return len(s.events(alice, eventLogin)) > before })
	s.expectFailures(alice, 0)

	c = s.ssh(alice)
	c.toCode(s, alice)
	c.send(code)
	c.expectIn(t)
	s.expectLetters(alice, 1)
}

// daemonSockets counts the open ends of the daemon's PAM socket: the listener
// and one for each login that runs.
func (s *site) daemonSockets() int {
	s.t.Helper()
	text, err := os.ReadFile("/proc/net/unix")
	ok(s.t, err)
	return strings.Count(string(text), " "+s.path("run/pam.sock")+"\n")
}
