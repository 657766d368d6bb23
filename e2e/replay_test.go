package e2e

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// refusesUsed holds a login of a to refuse an app's code that was used.
func refusesUsed(t *testing.T, s *site, a account, used string) {
	t.Helper()
	c := s.begin(a)
	c.expect(t, codeOrMenu)
	c.send(used)
	c.expect(t, "used already")
	c.close()
}

// Another app is begun, in an own enrollment that a code of the old one proved. Until the
// new one counts, what was used of the old one stays used, whatever is typed.
func TestSetupThatWasBegunBringsNoUsedCodeBack(t *testing.T) {
	s, alice := nothingYet(t, `totp.period = "15s"`)
	c := s.begin(alice)
	c.pick(t, offerApp, "")
	p := c.scan(t)
	c.send(p.code(t, time.Now()))
	c.keep(t)
	c.expectIn(t)
	s.set(`totp.period = "30s"`) // the step of the app that is there lies ahead of those of new ones
	s.reload()
	time.Sleep(time.Until(time.Now().Truncate(p.period).Add(p.period + 200*time.Millisecond))) // the code of the setup is used
	used := p.code(t, time.Now())
	c = s.own(alice, "enroll")
	c.expect(t, codeOrMenu)
	c.send(used)
	c.pick(t, offerApp, "")
	c.expect(t, codeWanted+"|"+codeOrMenu)
	c.send("000000")
	c.expect(t, "not right")
	c.close()
	refusesUsed(t, s, alice, used)
}

// The state can be written and the folder of enrollments cannot, as on a disk that is
// full: the new app does not count, and what was used of the old one stays used.
func TestSetupThatFailsBringsNoUsedCodeBack(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	clock.pass(5 * time.Minute)
	used := p.code(t, clock.step(p.period).Add(p.period)) // of the next step, within the skew
	c := s.own(alice, "enroll")
	c.expect(t, codeOrMenu)
	c.send(used)
	c.pick(t, offerApp, "")
	q := c.scan(t)
	users := s.path("store/users")
	ok(t, mount(users, users, "", unix.MS_BIND, ""))
	defer func() { ok(t, unix.Unmount(users, 0)) }()
	ok(t, mount("", users, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	c.send(q.code(t, clock.now().Add(-p.period)))
	c.expect(t, "cannot be checked")
	c.close()
	refusesUsed(t, s, alice, used)
}
