package e2e

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msteinert/pam/v2"
)

// passGoogle has google-authenticator accept a code.
func passGoogle(t *testing.T, a account, code string) {
	t.Helper()
	tx, err := pam.StartFunc("google", a.name, func(pam.Style, string) (string, error) { return code, nil })
	ok(t, err)
	defer func() { ok(t, tx.End()) }()
	if err := tx.Authenticate(0); err != nil {
		t.Fatal(err)
	}
}

// setUpGoogle has a set up google-authenticator, and returns the app and the
// scratch codes.
func setUpGoogle(t *testing.T, a account) (phone, []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "google-authenticator", "--time-based", "--disallow-reuse", "--force",
		"--rate-limit=3", "--rate-time=30", "--window-size=3", "--no-confirm", "--quiet")
	cmd.Dir, cmd.Env = a.home, []string{"PATH=/usr/bin:/bin", "HOME=" + a.home, "USER=" + a.name}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.uid)}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("google-authenticator (package libpam-google-authenticator, see install.sh): %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(a.home, ".google_authenticator"))
	ok(t, err)
	secret, rest, _ := strings.Cut(string(text), "\n")
	return phone{secret, "sha1", 6, 30 * time.Second}, regexp.MustCompile(`(?m)^\d{8}$`).FindAllString(rest, -1)
}

// Users of google-authenticator keep their app and their codes on paper; what
// they used there is used here.
func TestImportGoogleAuthenticator(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	p, scratch := setUpGoogle(t, alice)
	ok(t, os.WriteFile("/etc/pam.d/google", []byte("auth required pam_google_authenticator.so\n"), 0o644))
	used := p.code(t, clock.now())
	passGoogle(t, alice, used)
	passGoogle(t, alice, scratch[0])

	expectSaid(t, s.mustControl("import", "google-authenticator"), alice.name, "would be set up", "--yes")
	if _, status := s.control("show", alice.name); status != 3 {
		t.Errorf("show: status %d", status)
	}
	expectSaid(t, s.mustControl("import", "google-authenticator", "--yes"), alice.name, "6 digits, 30s", "is set up")
	expectSaid(t, s.mustControl("show", alice.name), "authenticator app", fmt.Sprintf("backup codes left:  %d", len(scratch)-1))

	c := s.begin(alice)
	c.expect(t, `authenticator app[^\0]*`+codeOrMenu)
	c.send(used)
	c.expect(t, `used already[^\0]*`+codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.expectIn(t)

	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(scratch[0]) // used with google-authenticator
	c.expect(t, `not right[^\0]*`+backupPrompt)
	c.send(scratch[1][:4] + " " + scratch[1][4:])
	expectSaid(t, c.expectInAfter(t), fmt.Sprintf("%d backup codes are left", len(scratch)-2))

	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(scratch[1])
	c.expect(t, `used already[^\0]*`+backupPrompt)

	expectSaid(t, s.mustControl("import", "google-authenticator", "--yes"), "set up already")
}

// A user who links their file to another's gets nothing of it.
func TestImportFollowsNoLink(t *testing.T) {
	s, _ := inProcess(t)
	alice, eve := newAccount(t, "alice"), newAccount(t, "eve")
	setUpGoogle(t, alice)
	ok(t, os.Symlink(filepath.Join(alice.home, ".google_authenticator"), filepath.Join(eve.home, ".google_authenticator")))
	out, status := s.control("import", "google-authenticator", "--yes")
	if status != statusFailed {
		t.Errorf("status %d", status)
	}
	expectSaid(t, out, eve.name, "a symbolic link is on the way", alice.name, "is set up")
	if _, status := s.control("show", eve.name); status != 3 {
		t.Errorf("show %s: status %d", eve.name, status)
	}
}

func TestImportOath(t *testing.T) {
	s, clock := inProcess(t)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	secret := []byte("0123456789abcdefghij")
	p := phone{base32.StdEncoding.EncodeToString(secret), "sha1", 8, 30 * time.Second}
	used := p.code(t, clock.now())
	ok(t, os.MkdirAll("/etc/oath", 0o700))
	lines := fmt.Sprintf("HOTP/T30/8 %s - %s 0 %s %s\nHOTP %s - %[2]s\n", alice.name, hex.EncodeToString(secret),
		used, time.Now().Format("2006-01-02T15:04:05L"), bob.name)
	ok(t, os.WriteFile("/etc/oath/users.oath", []byte(lines), 0o600))
	expectSaid(t, s.mustControl("import", "oath", "--yes"), alice.name, "is set up", bob.name, "6 digits, counts from 0")

	c := s.begin(alice)
	c.expect(t, `authenticator app[^\0]*`+codeWanted)
	c.send(used)
	c.expect(t, `used already[^\0]*`+codeWanted)
	c.send(p.code(t, clock.step(p.period)))
	c.expectIn(t)
}

// A file of ten thousand users is read to its end. Users without an account here are
// told of, and those who have one are set up.
func TestImportOathOfManyUsers(t *testing.T) {
	const users, every = 10_000, 500
	s, clock := daemonInProcess(t)
	before, err := os.ReadFile("/etc/passwd")
	ok(t, err)
	t.Cleanup(func() { ok(t, os.WriteFile("/etc/passwd", before, 0o644)) }) // in place, as it was made
	var file strings.Builder
	var here []account
	for i := range users {
		name := fmt.Sprintf("nobody%05d", i)
		if i%every == every-1 {
			here = append(here, newAccount(t, "oath"))
			name = here[len(here)-1].name
		}
		fmt.Fprintf(&file, "HOTP/T30 %s - %x\n", name, fmt.Sprintf("secret of %010d", i))
	}
	if size := file.Len(); size < 8*64<<10 {
		t.Fatalf("the file has only %d bytes", size)
	}
	path := s.path("users.oath")
	ok(t, os.WriteFile(path, []byte(file.String()), 0o600))
	out, _ := s.control("import", "oath", "--yes", path)
	expectSaid(t, out, here[0].name, here[len(here)-1].name, "nobody00000", "nobody09998")
	for _, a := range here {
		if said, status := s.control("show", a.name); status != 0 || !strings.Contains(said, "app") {
			t.Errorf("%s is not set up: %s", a.name, said)
		}
	}
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	last := phone{base32.StdEncoding.EncodeToString(fmt.Appendf(nil, "secret of %010d", users-1)), "sha1", 6, 30 * time.Second}
	c := s.begin(here[len(here)-1])
	c.expect(t, codeWanted)
	c.send(last.code(t, clock.now()))
	c.expectIn(t)
}
