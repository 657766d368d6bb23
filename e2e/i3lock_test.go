package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A seat is an X server that shows its screen to nobody, and its keyboard.
type seat struct{ display string }

func newSeat(t *testing.T) seat {
	t.Helper()
	const display = ":77"
	log, stop := service(t, exec.Command("Xvfb", display, "-screen", "0", "320x240x24", "-nolisten", "tcp"))
	t.Cleanup(func() {
		_ = stop(unix.SIGTERM)
		show(t, "log of Xvfb", log)
	})
	s := seat{display}
	eventually(t, "the X server answers", func() bool { return s.command("xdotool", "getmouselocation").Run() == nil })
	return s
}

// command is a program on the screen.
func (s seat) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"DISPLAY=" + s.display, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	return cmd
}

// types types a line.
func (s seat) types(t *testing.T, line string) {
	t.Helper()
	for _, args := range [][]string{{"type", "--delay", "20", line}, {"key", "Return"}} {
		if out, err := s.command("xdotool", args...).CombinedOutput(); err != nil {
			t.Fatalf("xdotool %v: %v %s", args, err, out)
		}
	}
}

// lock has a lock the screen with i3lock, and returns once it reads what is typed.
func (s seat) lock(t *testing.T, a account) (*record, func(unix.Signal) error) {
	t.Helper()
	cmd := s.command("setpriv", "--reuid", a.name, "--regid", a.name, "--init-groups", "i3lock", "--nofork", "--debug")
	log, stop := service(t, cmd)
	eventually(t, "i3lock reads keys", func() bool {
		_ = s.command("xdotool", "key", "Escape").Run() // it clears what was typed, and draws anew
		return strings.Count(log.String(), "redraw_screen(") > 2
	})
	return log, stop
}

// I3lock gives what was typed once to each prompt: behind a password it keeps its user
// out and counts nothing. Where the code alone is asked for, it takes that.
func TestI3lock(t *testing.T) {
	s, clock := daemonInProcess(t)
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	at := newSeat(t)
	t.Cleanup(func() { _ = os.Remove("/etc/pam.d/i3lock") })

	s.stack("i3lock", s.passwordThenCode()...)
	log, stop := at.lock(t, alice)
	at.types(t, password)
	eventually(t, "it is refused", func() bool { return len(s.events(alice, eventLogin)) == 2 })
	if _, ended, _ := log.next(); ended {
		t.Errorf("the password alone unlocks: %s", log)
	}
	_ = stop(unix.SIGTERM)
	awaitSaid(t, s.log, 0, "the password was given in place of a code; nothing was counted")
	s.expectFailures(alice, 0)

	s.stack("i3lock", s.codeOnly()...)
	log, stop = at.lock(t, alice)
	at.types(t, p.code(t, clock.step(p.period)))
	eventually(t, "the code unlocks", func() bool { _, ended, _ := log.next(); return ended })
	ok(t, stop(unix.SIGTERM))
	if events := s.events(alice, eventLogin); len(events) != 3 || events[2]["service"] != "i3lock" || events[2]["outcome"] != "accepted" {
		t.Errorf("the audit file says %v", events)
	}
}
