package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tryBackup gives a backup code at a login, and says whether it let in. One that does not
// is to be told as used, which counts for nothing.
func (s *site) tryBackup(a account, code string) (in bool) {
	s.t.Helper()
	c := s.begin(a)
	defer c.close()
	c.expect(s.t, codeOrMenu)
	c.send("m")
	c.pick(s.t, byBackup, "")
	c.expect(s.t, backupPrompt)
	c.send(code)
	said, err := c.wait(`let-in-e2e|used already[^\0]*` + backupPrompt)
	if err != nil {
		s.t.Fatalf("after a backup code: %v\n%s", err, said)
	}
	return strings.Contains(said, "let-in-e2e")
}

// spent fails the test if one of the codes lets in.
func (s *site) spent(a account, codes ...string) {
	s.t.Helper()
	for _, code := range codes {
		if s.tryBackup(a, code) {
			s.t.Errorf("a code that is void let %s in", a.name)
		}
	}
	expectSaid(s.t, s.mustControl("show", a.name), "recent failures:    0")
}

// good fails the test if the code does not let in.
func (s *site) good(a account, code string) {
	s.t.Helper()
	if !s.tryBackup(a, code) {
		s.t.Errorf("a code that nobody used does not let %s in", a.name)
	}
}

// save keeps a backup of all, and returns what restores it.
func (s *site) save() (restore func() string) {
	s.t.Helper()
	ok(s.t, os.WriteFile(s.path("pass"), []byte("correct horse battery staple\n"), 0o600))
	s.mustControl("backup", s.path("b.age"), "--passphrase-file", s.path("pass"))
	return func() string {
		s.t.Helper()
		return s.mustControl("restore", s.path("b.age"), "--passphrase-file", s.path("pass"), "--yes")
	}
}

// newCodes has a user make new backup codes, and returns them.
func (s *site) newCodes(a account, p phone, clock *clock) []string {
	s.t.Helper()
	c := s.own(a, "backup-codes")
	c.expect(s.t, codeOrMenu)
	c.send(p.code(s.t, clock.step(p.period)))
	said, status, err := c.finish()
	if err != nil || status != 0 {
		s.t.Fatalf("backup-codes: status %d, %v\n%s", status, err, said)
	}
	return backupLine.FindAllString(said, -1)
}

// appSpent fails the test if a code of an app that was used is not told as used.
func (s *site) appSpent(a account, code string) {
	s.t.Helper()
	c := s.begin(a)
	defer c.close()
	c.expect(s.t, codeOrMenu)
	c.send(code)
	c.expect(s.t, `used already[^\0]*`+codeOrMenu)
}

// Codes spent before a reset stay spent when a backup is restored after it, and the
// administrator is told that new backup codes are to be made. The app goes on.
func TestRestoreAfterResetBringsNoCodeBack(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	p, codes := s.enrollByApp(alice, clock)
	restore := s.save()
	s.good(alice, codes[0])
	s.newCodes(alice, p, clock)
	at := clock.step(p.period)
	s.loginWith(alice, p.code(t, at))
	s.mustControl("reset", alice.name, "--yes")
	expectSaid(t, restore(), alice.name, "backup codes", "void")
	expectSaid(t, s.mustControl("show", alice.name), "void", "mfactl backup-codes")
	s.appSpent(alice, p.code(t, at))
	s.spent(alice, codes[0], codes[3])
	clock.pass(2 * time.Minute)
	s.loginWith(alice, p.code(t, clock.step(p.period)))
	s.good(alice, s.newCodes(alice, p, clock)[0])
}

// Nor does a restore after the user gave their second factor up.
func TestRestoreAfterOptOutBringsNoCodeBack(t *testing.T) {
	s, clock := inProcess(t, `policy.mode = "optional"`, "policy.opt_out = true")
	alice := newAccount(t, "alice")
	p, codes := s.enrollByApp(alice, clock)
	restore := s.save()
	s.good(alice, codes[0])
	fresh := s.newCodes(alice, p, clock)
	s.good(alice, fresh[0])
	c := s.own(alice, "opt-out")
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.expectStatus(t, 0)
	expectSaid(t, restore(), alice.name, "void")
	s.spent(alice, codes[0], codes[1])
}

// Nor does a file that is put back by hand.
func TestFilePutBackBringsNoCodeBack(t *testing.T) {
	s, clock := inProcess(t)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	p, codes := s.enrollByApp(alice, clock)
	file := s.path("store/users/" + alice.name + ".toml")
	old, err := os.ReadFile(file)
	ok(t, err)
	s.good(alice, codes[0])
	fresh := s.newCodes(alice, p, clock)
	s.good(alice, fresh[0])
	ok(t, os.WriteFile(file, old, 0o600))
	s.spent(alice, codes[0], codes[1])

	p, codes = s.enrollByApp(bob, clock)
	file = s.path("store/users/" + bob.name + ".toml")
	old, err = os.ReadFile(file)
	ok(t, err)
	s.good(bob, codes[0])
	at := clock.step(p.period)
	s.loginWith(bob, p.code(t, at))
	s.mustControl("reset", bob.name, "--yes")
	ok(t, os.WriteFile(file, old, 0o600))
	s.appSpent(bob, p.code(t, at))
	s.spent(bob, codes[0])
	s.good(bob, codes[1]) // it was never used
}

// Nor does another import of the same file.
func TestImportAgainBringsNoCodeBack(t *testing.T) {
	for _, how := range []string{"replace", "reset"} {
		t.Run(how, func(t *testing.T) {
			s, clock := inProcess(t)
			alice := newAccount(t, "alice")
			p, scratch := setUpGoogle(t, alice)
			file := filepath.Join(alice.home, ".google_authenticator") // others' homes have some, too
			s.mustControl("import", "google-authenticator", "--yes", file)
			s.good(alice, scratch[0])
			if how == "replace" {
				c := s.own(alice, "enroll")
				c.expect(t, codeOrMenu)
				c.send(p.code(t, clock.step(p.period)))
				c.pick(t, offerApp, "")
				c.addApp(t, clock)
				c.expectStatus(t, 0)
				s.mustControl("import", "google-authenticator", "--yes", "--replace", file)
			} else {
				at := clock.step(p.period)
				s.loginWith(alice, p.code(t, at))
				s.mustControl("reset", alice.name, "--yes")
				s.mustControl("import", "google-authenticator", "--yes", file)
				s.appSpent(alice, p.code(t, at))
			}
			s.spent(alice, scratch[0])
			s.good(alice, scratch[1])
		})
	}
}

// A new start after a reset is good at once: a new app, and new backup codes.
func TestEnrollingAfterResetIsGoodAtOnce(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	s.enrollByApp(alice, clock)
	s.mustControl("reset", alice.name, "--yes")
	p, codes := s.enrollByApp(alice, clock)
	s.loginWith(alice, p.code(t, clock.step(p.period)))
	s.good(alice, codes[0])
	expectSaid(t, s.mustControl("show", alice.name), "backup codes left:  9")
}

// loginWith goes through a login with a code of an app.
func (s *site) loginWith(a account, code string) {
	s.t.Helper()
	c := s.begin(a)
	c.expect(s.t, codeOrMenu)
	c.send(code)
	c.expectIn(s.t)
}
