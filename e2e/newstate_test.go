package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A database that is lost, emptied or damaged is never begun anew in silence, and
// where an administrator begins it anew, a used code stays used.
func TestLostStateIsNotBegunInSilence(t *testing.T) {
	s, alice := ready(t)
	bob := s.newUser("bob")
	app := scan(t, s.mustControl("enroll", alice.name, "--totp", "--qr"))
	code := app.code(t, time.Now())
	c := s.begin(alice)
	c.expect(t, `Code[^\n]*: $`)
	c.send(code)
	c.expectIn(t)
	ok(t, s.stopDaemon())

	state := s.path("store/state.db")
	image, err := os.ReadFile(state)
	ok(t, err)
	damaged := append([]byte(nil), image...)
	damaged[os.Getpagesize()+20] ^= 1 // one of the two meta pages: the other may be one decision older
	for name, damage := range map[string]func() error{
		"lost":    func() error { return os.Remove(state) },
		"empty":   func() error { return os.WriteFile(state, nil, 0o600) },
		"damaged": func() error { return os.WriteFile(state, damaged, 0o600) },
	} {
		ok(t, damage())
		for _, said := range []string{s.refusedStart(), s.check()} {
			expectSaid(t, said, "state.db", "restore a backup", "mfad --new-state")
		}
		c = s.ssh(alice)
		c.expect(t, `Password: $`)
		c.send(password)
		c.expectOut(t)
		t.Log(name, "is refused")
	}
	ok(t, os.WriteFile(state, damaged, 0o600)) // something to put aside
	out, err := exec.Command(artefact("mfad"), "--config", s.path("mfa.toml"), "--new-state").CombinedOutput()
	if err != nil {
		t.Fatalf("mfad --new-state: %v\n%s", err, out)
	}
	expectSaid(t, string(out), "state.db.until-", "count as used", "systemctl reset-failed mfad.socket mfad.service; systemctl start mfad.socket mfad.service")
	s.startDaemon()
	awaitText(t, s.log, 0, "begins anew")
	c = s.begin(alice)
	c.expect(t, `Code[^\n]*: $`)
	c.send(code)
	expectSaid(t, c.expect(t, `Code[^\n]*: $`), "used already")
	c.close()
	s.login(bob, 1)
	if out, err := exec.Command(artefact("mfad"), "--config", s.path("mfa.toml"), "--new-state").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "systemctl stop mfad") {
		t.Errorf("under a daemon: %v\n%s", err, out)
	}
	s.restartDaemon()
}

// check runs mfad --check and returns what it wrote.
func (s *site) check() string {
	s.t.Helper()
	out, _ := exec.Command(artefact("mfad"), "--config", s.path("mfa.toml"), "--check").CombinedOutput()
	return string(out)
}

// Enrollments that are gone make nobody a newcomer in silence either.
func TestLostEnrollmentsAreNotBegunInSilence(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	ok(t, s.stopDaemon())
	ok(t, os.Rename(s.path("store/users"), s.path("elsewhere")))
	for _, said := range []string{s.refusedStart(), s.check()} {
		expectSaid(t, said, "enrollments are gone", "store/users", "mfad --new-state")
	}
	ok(t, os.Rename(s.path("elsewhere"), s.path("store/users")))
	s.startDaemon()
	s.login(alice, 2)
}
