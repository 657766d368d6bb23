package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A backup is restored on a machine that lost everything, key and all: apps and
// backup codes work, what was used stays used.
func TestBackupAndRestore(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	p, codes := s.enrollByApp(alice, clock)
	used := codes[0]
	s.loginByBackup(alice, used)
	passphrase := s.path("passphrase")
	ok(t, os.WriteFile(passphrase, []byte("correct horse battery staple\n"), 0o600))
	file := s.path("mfa.age")
	expectSaid(t, s.mustControl("backup", file, "--passphrase-file", passphrase), "1 user saved")
	sealed, err := os.ReadFile(file)
	ok(t, err)
	for _, secret := range []string{alice.name, p.secret, "secret"} {
		if strings.Contains(string(sealed), secret) {
			t.Errorf("the backup shows %q", secret)
		}
	}

	there, clock := inProcess(t)
	clock.pass(time.Minute) // the former machine's clock was put forward, too
	expectSaid(t, there.mustControl("restore", file, "--passphrase-file", passphrase, "--yes"), "1 user of 1 restored")
	c := there.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(used)
	c.expect(t, `used already[^\0]*`+backupPrompt)
	c.send(codes[1])
	expectSaid(t, c.expectInAfter(t), "8 backup codes are left")
	there.loginByApp(alice, p, clock)

	// There, another restore brings nothing back.
	there.mustControl("restore", file, "--passphrase-file", passphrase, "--yes")
	c = there.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(codes[1])
	c.expect(t, `used already[^\0]*`+backupPrompt)
}

// A restore names the users of the backup who have no account on this machine. Their
// records wait for one.
func TestRestoreNamesUsersWithoutAnAccount(t *testing.T) {
	s, clock := inProcess(t)
	alice, bob, carol := newAccount(t, "alice"), newAccount(t, "bob"), newAccount(t, "carol")
	apps := map[string]phone{}
	for _, a := range []account{alice, bob, carol} {
		apps[a.name], _ = s.enrollByApp(a, clock)
	}
	passphrase, file := s.path("passphrase"), s.path("mfa.age")
	ok(t, os.WriteFile(passphrase, []byte("correct horse battery staple\n"), 0o600))
	s.mustControl("backup", file, "--passphrase-file", passphrase)

	there, clock := inProcess(t)
	clock.pass(time.Minute)
	before, err := os.ReadFile("/etc/passwd")
	ok(t, err)
	for _, gone := range []account{bob, carol} {
		replace(t, "/etc/passwd", gone.name+":x:", "former-"+gone.name+":x:")
	}
	ok(t, os.Chmod("/etc/passwd", 0o644))
	said := there.mustControl("restore", file, "--passphrase-file", passphrase, "--yes")
	expectSaid(t, said, "2  have no account here", bob.name+", "+carol.name)
	if strings.Contains(said, alice.name) {
		t.Errorf("%s has an account: %s", alice.name, said)
	}
	there.loginByApp(alice, apps[alice.name], clock)
	ok(t, os.WriteFile("/etc/passwd", before, 0o644)) // the account comes
	there.loginByApp(bob, apps[bob.name], clock)
}

// expectInAfter is expectIn; it returns all that the program wrote, lines joined.
func (c *terminal) expectInAfter(t testing.TB) string {
	t.Helper()
	c.expectIn(t)
	return unwrapped(c.said.String())
}

// loginByBackup goes through a login with a backup code.
func (s *site) loginByBackup(a account, code string) {
	s.t.Helper()
	c := s.begin(a)
	c.expect(s.t, codeOrMenu)
	c.send("m")
	c.pick(s.t, byBackup, "")
	c.expect(s.t, backupPrompt)
	c.send(code)
	c.expectIn(s.t)
}

// Ctrl-C at a hidden question ends mfactl, and the terminal echoes again.
func TestPassphraseIsHiddenAndCanBeLeft(t *testing.T) {
	s, _ := daemonInProcess(t)
	root := account{name: "root", home: "/root"}
	c := s.own(root, "backup", s.path("mfa.age"))
	c.expect(t, `Passphrase for the backup: $`)
	c.send("typed in the dark")
	c.expect(t, `The same once more: $`)
	_, _ = c.file.WriteString("\x03")
	expectSaid(t, c.expectStatus(t, statusFailed), "mfactl: interrupted")
	if strings.Contains(c.said.String(), "dark") {
		t.Errorf("the passphrase shows: %q", c.said.String())
	}
	if _, err := os.Stat(s.path("mfa.age")); err == nil {
		t.Error("there is a backup")
	}
}

// The key can be changed at any time: apps and codes that are under way work.
func TestKeyIsChangedDuringALogin(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byEmail, "")
	c.expect(t, codeOrMenu)
	code := s.code(alice, 2)
	expectSaid(t, s.mustControl("key", "rotate", "--yes"), "the secrets of 1 user are sealed with it")
	c.send(code)
	c.expectIn(t)
	s.loginByApp(alice, p, clock)
}
