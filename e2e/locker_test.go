package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
)

// reads waits until the program waits for keys: vlock throws away what was typed before
// that (tcflush(3)), though its prompt is there already.
func (c *terminal) reads(t *testing.T) {
	t.Helper()
	eventually(t, "it waits for keys", func() bool {
		call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", c.cmd.Process.Pid))
		number, _, _ := strings.Cut(string(call), " ")
		return err == nil && (number == fmt.Sprint(unix.SYS_PSELECT6) || number == fmt.Sprint(unix.SYS_READ))
	})
}

// Vlock, a screen locker of the console, shows the prompts of PAM one after another.
func TestVlock(t *testing.T) {
	s := newSite(t)
	s.stack("vlock", s.passwordThenCode()...)
	s.startDaemon()
	alice := s.newUser("alice")
	c := s.as(alice, "vlock", "-c")
	c.expect(t, `\[ENTER\] to unlock`)
	c.send("")
	c.expect(t, `assword: $`)
	c.reads(t)
	c.send(password)
	c.expect(t, codePrompt(alice))
	c.reads(t)
	c.send(s.code(alice, 1))
	c.expectStatus(t, 0)
	s.expectFailures(alice, 0)
}

// polkit starts a bus and polkitd, and lets everybody be asked for their own password.
func (s *site) polkit() {
	s.t.Helper()
	t := s.t.(*testing.T)
	ok(t, os.MkdirAll("/run/dbus", 0o755))
	const rule = "/etc/polkit-1/rules.d/00-e2e.rules"
	t.Cleanup(func() { _ = os.Remove(rule) })
	ok(t, os.WriteFile(rule, []byte("polkit.addRule(function(action, subject) { return polkit.Result.AUTH_SELF; });\n"), 0o644))
	bus, stopBus := service(t, exec.Command("dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address"))
	t.Cleanup(func() { _ = stopBus(unix.SIGTERM) })
	awaitText(t, bus, 0, "unix:")
	log, stop := service(t, exec.Command("/usr/lib/polkit-1/polkitd"))
	t.Cleanup(func() { _ = stop(unix.SIGTERM) })
	awaitText(t, log, 0, "Acquired the name org.freedesktop.PolicyKit1")
}

// Pkexec's agent shows each prompt of PAM in the terminal, and carries the answers.
// Polkitd obeys only where there is a session of logind, which these namespaces lack.
func TestPkexecAsks(t *testing.T) {
	s := newSite(t)
	s.stack("polkit-1", s.passwordThenCode()...)
	t.Cleanup(func() { _ = os.Remove("/etc/pam.d/polkit-1") })
	s.startDaemon()
	s.polkit()
	alice := s.newUser("alice")
	c := s.as(alice, "sh", "-c", "pkexec sh -c '"+greet+"'; exit $?") // pkexec wants a parent that is not process 1
	c.expect(t, `assword: $`)
	c.insist(t, password, codePrompt(alice))
	c.insist(t, wrong(s.code(alice, 1)), `not right[^\0]*Code[^\n]*: $`)
	c.insist(t, s.code(alice, 1), `AUTHENTICATION (COMPLETE|FAILED)`)
	_, _, err := c.finish()
	ok(t, err)
	if events := s.events(alice, eventLogin); len(events) != 1 || events[0]["outcome"] != mfa.Accepted.String() || events[0]["service"] != "polkit-1" {
		t.Errorf("the audit file says %v", events)
	}
}

// insist types a line until what it leads to is there: pkexec throws away what was typed
// before it reads (TCSAFLUSH of termios(3)), and nothing shows when it does.
func (c *terminal) insist(t *testing.T, line, pattern string) {
	t.Helper()
	c.send(line)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Second):
				c.send(line)
			}
		}
	}()
	c.expect(t, pattern)
}
