package e2e

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"image/color"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/msteinert/pam/v2"
)

// withTokens are the settings under which a token is a second factor.
const withTokens = `policy.methods = ["hotp", "totp", "email", "backup"]`

// Names of tokens in the menus.
const (
	offerToken = "Hardware token"
	byToken    = "Code from your token"
	tokenCode  = `your token and type the code[^\0]*Code[^\n]*: $`
)

// A button is a hardware token: oathtool, which is told how often it was pressed.
type button struct {
	secret []byte
	digits int
	count  int // of the next press
}

// at is what the token shows at a count.
func (b *button) at(t testing.TB, count int) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "oathtool", "--hotp", "--digits="+strconv.Itoa(b.digits),
		"--counter="+strconv.Itoa(count), hex.EncodeToString(b.secret)).CombinedOutput()
	if err != nil {
		t.Fatalf("oathtool (package oathtool, see install.sh): %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// press is what the token shows next.
func (b *button) press(t testing.TB) string {
	t.Helper()
	b.count++
	return b.at(t, b.count-1)
}

// newButton returns a token that was never pressed.
func newButton(digits int) *button {
	return &button{secret: []byte("12345678901234567890"), digits: digits}
}

// pskc writes a list with the token of a user, and returns its path.
func (s *site) pskc(serial string, a account, b *button) string {
	s.t.Helper()
	path := s.path("tokens.xml")
	text := fmt.Sprintf(`<?xml version="1.0"?><KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
<KeyPackage><DeviceInfo><Manufacturer>oath.Example</Manufacturer><SerialNo>%s</SerialNo></DeviceInfo>
<Key Id="%[1]s" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><AlgorithmParameters><ResponseFormat Length="%d" Encoding="DECIMAL"/></AlgorithmParameters>
<Data><Secret><PlainValue>%s</PlainValue></Secret><Counter><PlainValue>%d</PlainValue></Counter></Data><UserId>UID=%s</UserId></Key></KeyPackage></KeyContainer>`,
		serial, b.digits, base64.StdEncoding.EncodeToString(b.secret), b.count, a.name)
	ok(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// expectPSKC ends the test unless pskctool reads a list as what it is said to be.
func expectPSKC(t *testing.T, path string, words ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pskctool", "--info", "--strict", path).CombinedOutput()
	if err != nil {
		t.Fatalf("pskctool (package pskctool, see install.sh): %v\n%s", err, out)
	}
	expectSaid(t, string(out), words...)
}

// tokenIn goes through a login with a code of a token.
func (s *site) tokenIn(a account, code string) {
	s.t.Helper()
	c := s.begin(a)
	c.expect(s.t, tokenCode)
	c.send(code)
	c.expectIn(s.t)
}

// tokenSpent fails the test if one of the codes of a token is not told as used.
func (s *site) tokenSpent(a account, codes ...string) {
	s.t.Helper()
	c := s.begin(a)
	defer c.close()
	c.expect(s.t, tokenCode)
	for _, code := range codes {
		c.send(code)
		c.expect(s.t, `used already[^\0]*Code[^\n]*: $`)
	}
}

// ofToken makes a site where alice has a token of a list.
func ofToken(t *testing.T) (*site, account, *button) {
	t.Helper()
	s, alice := nothingYet(t, withTokens)
	b := newButton(6)
	list := s.pskc("87654321", alice, b)
	expectPSKC(t, list, "87654321", "hotp", base64.StdEncoding.EncodeToString(b.secret), "UID="+alice.name)
	expectSaid(t, s.mustControl("import", "pskc", list), alice.name, "number 87654321", "6 digits, counts from 0", "would be set up", "--yes")
	if _, status := s.control("show", alice.name); status != 3 {
		t.Errorf("after a dry run: status %d", status)
	}
	expectSaid(t, s.mustControl("import", "pskc", "--yes", list), alice.name, "is set up")
	return s, alice, b
}

// A token of a list lets in at each press, and when nobody logged in for a few; used
// codes and those that were passed over are told as used, and counted for nobody.
func TestTokenOverSSH(t *testing.T) {
	s, alice, b := ofToken(t)
	for range 3 {
		s.tokenIn(alice, b.press(t))
	}
	b.count += 10
	s.tokenIn(alice, b.press(t))
	s.tokenSpent(alice, b.at(t, b.count-1), b.at(t, b.count-2))
	s.expectFailures(alice, 0)
	expectSaid(t, s.mustControl("show", alice.name), "number on it:", "87654321", "next code:          14")
	expectSaid(t, s.mustControl("users", "--method", "hotp"), alice.name)
	expectSaid(t, s.mustControl("explain", alice.name), "a code is asked for: hotp")
	s.restartDaemon()
	s.tokenSpent(alice, b.at(t, b.count-1))
	s.tokenIn(alice, b.press(t))
}

// Thirty presses ahead a code is wrong, and counted, like a guess. The one after it is
// right, in the same login or the next, and what lies behind is used.
func TestTokenThirtyPressesAhead(t *testing.T) {
	s, alice, b := ofToken(t)
	s.tokenIn(alice, b.press(t))
	b.count += 30
	c := s.begin(alice)
	c.expect(t, tokenCode)
	c.send(b.press(t))
	told := c.expect(t, `not right[^\0]*Code[^\n]*: $`)
	c.send(b.press(t))
	c.expectIn(t)
	s.expectFailures(alice, 1)
	expectSaid(t, s.mustControl("show", alice.name), "recent failures:    0")
	expectSaid(t, s.mustControl("audit", "--event", "factor.resynchronised"), alice.name, "31 ahead")
	s.tokenSpent(alice, b.at(t, 5), b.at(t, 32))

	b.count += 500
	c = s.begin(alice)
	c.expect(t, tokenCode)
	c.send(b.press(t))
	c.expect(t, `not right`)
	c.close()
	s.expectFailures(alice, 2)
	s.tokenIn(alice, b.press(t))

	// A guess is told the very same.
	c = s.begin(alice)
	c.expect(t, tokenCode)
	c.send(wrong(b.at(t, b.count)))
	if guess := c.expect(t, `not right[^\0]*Code[^\n]*: $`); afterWrong(guess) != afterWrong(told) {
		t.Errorf("a guess is told %q, a code far ahead %q", guess, told)
	}
	c.close()
}

// afterWrong is what a screen says from the wrong code on.
func afterWrong(screen string) string {
	_, said, _ := strings.Cut(screen, "not right")
	return said
}

// Many logins at the same time with one code: one gets in, the others are told that it is
// used, and nobody is charged with it.
func TestOneCodeOfATokenOpensOneLogin(t *testing.T) {
	const many = 20
	s, alice, b := ofToken(t)
	code := b.press(t)
	terminals := make([]*terminal, many)
	for i := range many {
		terminals[i] = s.ssh(alice)
	}
	together(t, many, func(i int) error {
		if _, err := terminals[i].wait(`Password: $`); err != nil {
			return err
		}
		terminals[i].send(password)
		_, err := terminals[i].wait(tokenCode)
		return err
	})
	for _, c := range terminals {
		c.send(code)
	}
	var in, used atomic.Int32
	together(t, many, func(i int) error {
		said, err := terminals[i].wait(`let-in-e2e|used already[^\0]*Code[^\n]*: $`)
		switch {
		case err != nil:
			return fmt.Errorf("%w\n%s", err, said)
		case strings.Contains(said, "let-in-e2e"):
			in.Add(1)
		default:
			used.Add(1)
			terminals[i].close()
		}
		return nil
	})
	if in.Load() != 1 || used.Load() != many-1 {
		t.Errorf("%d got in, %d were told that it is used", in.Load(), used.Load())
	}
	s.expectFailures(alice, 0)
	s.tokenIn(alice, b.press(t))
}

// Neither a restore, a reset nor another import of the same list brings a used code back.
func TestNothingRewindsAToken(t *testing.T) {
	s, alice, b := ofToken(t)
	list := s.path("tokens.xml")
	restore := s.save()
	s.tokenIn(alice, b.press(t))
	s.tokenIn(alice, b.press(t))
	restore()
	s.tokenSpent(alice, b.at(t, 0), b.at(t, 1))
	s.mustControl("import", "pskc", "--yes", list)
	s.tokenSpent(alice, b.at(t, 0), b.at(t, 1))
	s.mustControl("reset", alice.name, "--yes")
	s.mustControl("import", "pskc", "--yes", list)
	s.tokenSpent(alice, b.at(t, 0), b.at(t, 1))
	s.mustControl("reset", alice.name, "--yes")
	restore()
	s.tokenSpent(alice, b.at(t, 0), b.at(t, 1))
	s.tokenIn(alice, b.press(t))
}

// A user sets their token up by its secret, at a login; then another in its place, which is
// an app that counts, from its QR code alone.
func TestEnrollTokenByThePerson(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	b := newButton(8)
	b.count = 17 // it was tried out
	c := s.begin(alice)
	c.pick(t, offerToken, "")
	c.expect(t, `Serial number or secret: $`)
	c.send(base32.StdEncoding.EncodeToString(b.secret))
	expectSaid(t, unwrapped(c.expect(t, `Press the button of your token[^\0]*Code[^\n]*: $`)), "what you typed was taken as the secret", "If it was the number on it, no code of it will be right")
	used := b.press(t)
	c.send(used)
	if codes := c.keep(t); len(codes) != 10 {
		t.Errorf("%d backup codes", len(codes))
	}
	c.expectIn(t)

	c = s.begin(alice)
	c.expect(t, tokenCode)
	c.send(used)
	c.expect(t, "used already")
	c.send(b.press(t))
	c.expectIn(t)

	c = s.own(alice, "enroll")
	c.expect(t, tokenCode)
	c.send(b.press(t))
	c.pick(t, offerToken, "")
	c.expect(t, `Serial number or secret: $`)
	c.send("q")
	c.expect(t, `otpauth://hotp/[^\0]*see it as a QR code[^\0]*Code[^\n]*: $`)
	c.send("q")
	next := countingPhone(t, c.expect(t, `Code[^\n]*: $`))
	c.send(next.press(t))
	c.expectStatus(t, 0)
	s.tokenIn(alice, next.press(t))
	c = s.begin(alice)
	c.expect(t, tokenCode)
	c.send(b.press(t)[:6])
	c.expect(t, "not right")
}

// countingPhone is an app that counts, which has read the QR code on a screen.
func countingPhone(t *testing.T, screen string) *button {
	t.Helper()
	lines := drawn(screen)
	if len(lines) == 0 {
		t.Fatalf("no QR code in %q", screen)
	}
	text := readQR(t, photo(t, lines, color.Gray{Y: 0xd0}, color.Gray{Y: 0x10}))
	u, err := url.Parse(text)
	ok(t, err)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	ok(t, err)
	if u.Host != "hotp" || u.Query().Get("counter") != "0" {
		t.Fatalf("the QR code is %q", text)
	}
	return &button{secret: secret, digits: 6}
}

// A list of lines with commas, of which one is wrong, changes nothing; one that is right
// gives each user their token, whose user stands elsewhere too.
func TestImportTokenLines(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	bob, carol := newAccount(t, "bob"), newAccount(t, "carol")
	b := newButton(6)
	list := s.path("tokens.csv")
	good := fmt.Sprintf("serial,secret,user,counter\n1,%x,%s,\n2,%x,,5\n3,%s,%s,0\n", b.secret, alice.name, "abcdefghij0123456789",
		base32.StdEncoding.EncodeToString([]byte("klmnopqrst0123456789")), carol.name)
	ok(t, os.WriteFile(list, []byte(good+"4,nothing,"+bob.name+",0\n"), 0o600))
	said, status := s.control("import", "pskc", "--yes", list)
	if status != statusFailed {
		t.Errorf("status %d", status)
	}
	expectSaid(t, said, "line 5: the secret is neither", "Nothing was changed")
	s.expectNoRecord(alice)
	ok(t, os.WriteFile(list, []byte(good), 0o600))
	expectSaid(t, s.mustControl("import", "pskc", "--yes", list), alice.name, carol.name, "is kept until its user says the number on it", "3 tokens imported")
	expectSaid(t, s.mustControl("import", "pskc", "--yes", "--user", "2="+bob.name, list), "1 token imported, 2 left as they are, 0 cannot be")
	expectSaid(t, s.mustControl("import", "pskc", "--yes", list), "stays out: "+bob.name+" took it")
	s.tokenIn(alice, b.press(t))
	of := &button{secret: []byte("abcdefghij0123456789"), digits: 6, count: 5}
	s.tokenSpent(bob, of.at(t, 4))
	s.tokenIn(bob, of.press(t))
}

// Tokens that are nobody's yet wait: whoever has one says its number, at a login or to
// mfactl, and proves it. Then nobody else can, and an administrator can give one too.
func TestTokenBySerialNumber(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	bob, carol := newAccount(t, "bob"), newAccount(t, "carol")
	tokens := []*button{newButton(6), {secret: []byte("abcdefghij0123456789"), digits: 8}, {secret: []byte("klmnopqrst0123456789"), digits: 6}}
	list := s.path("tokens.csv")
	text := "serial,secret,digits\n"
	for i, b := range tokens {
		text += fmt.Sprintf("OATH-%d,%x,%d\n", i, b.secret, b.digits)
	}
	ok(t, os.WriteFile(list, []byte(text), 0o600))
	s.mustControl("import", "pskc", "--yes", list)
	expectSaid(t, s.mustControl("import", "pskc", "--yes", list), "waits for its user already", "0 tokens imported, 3 left as they are")

	c := s.begin(alice)
	c.pick(t, offerToken, "")
	c.expect(t, `Serial number or secret: $`)
	c.send("OATH-9")
	c.expect(t, `No token of that number[^\0]*Serial number or secret: $`)
	c.send("OATH-0")
	c.expect(t, `token of the number OATH-0[^\0]*Code[^\n]*: $`)
	c.send(wrong(tokens[0].at(t, 0)))
	c.expect(t, `not right[^\0]*Code[^\n]*: $`)
	c.send(tokens[0].press(t))
	c.keep(t)
	c.expectIn(t)
	s.tokenIn(alice, tokens[0].press(t))

	c = s.own(bob, "enroll")
	c.pick(t, offerToken, "")
	c.expect(t, `Serial number or secret: $`)
	c.send("OATH-0") // alice's
	c.expect(t, `No token of that number[^\0]*Serial number or secret: $`)
	c.send("OATH-1")
	c.expect(t, `Code[^\n]*: $`)
	c.send(tokens[1].press(t))
	c.keep(t)
	c.expectStatus(t, 0)
	s.tokenIn(bob, tokens[1].press(t))

	if said, status := s.control("enroll", carol.name, "--hotp", "--serial", "OATH-1"); status == 0 {
		t.Errorf("bob's token went to another: %s", said)
	}
	s.mustControl("enroll", carol.name, "--hotp", "--serial", "OATH-2")
	s.tokenIn(carol, tokens[2].press(t))
	expectSaid(t, s.mustControl("audit", "--event", "token.shelved"), "number OATH-2")

	// A token that comes back to the shelf goes on where it was.
	s.mustControl("reset", alice.name, "--yes")
	expectSaid(t, s.mustControl("import", "pskc", "--yes", list), "stays out: "+alice.name+" took it")
	s.mustControl("import", "pskc", "--yes", "--replace", list)
	dave := newAccount(t, "dave")
	s.mustControl("enroll", dave.name, "--hotp", "--serial", "OATH-0")
	s.tokenSpent(dave, tokens[0].at(t, 1))
	s.tokenIn(dave, tokens[0].press(t))
}

// A list that is encrypted is opened with the key that was shared before, and with no
// other; the figure is that of RFC 6030, section 6.1.
func TestImportEncryptedTokens(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	text, err := os.ReadFile("testdata/rfc6030-figure6.xml")
	ok(t, err)
	list, key := s.path("tokens.xml"), s.path("transport.key")
	ok(t, os.WriteFile(list, text, 0o600))
	ok(t, os.WriteFile(key, []byte("00000000000000000000000000000000\n"), 0o600))
	args := []string{"import", "pskc", "--yes", "--key-file", key, "--user", "987654321=" + alice.name, list}
	said, status := s.control(args...)
	if status != statusFailed {
		t.Errorf("with another key: status %d", status)
	}
	expectSaid(t, said, "the MAC does not match", "Nothing was changed")
	ok(t, os.WriteFile(key, []byte("12345678901234567890123456789012\n"), 0o600))
	s.mustControl(args...)
	s.tokenIn(alice, newButton(8).press(t))
}

// Users of an app of google-authenticator that counts, or of a token of pam_oath, keep it, and
// what was used there is used here.
func TestImportAppsThatCount(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	bob := newAccount(t, "bob")
	cmd := exec.CommandContext(t.Context(), "google-authenticator", "--counter-based", "--force", "--no-rate-limit", "--window-size=3", "--no-confirm", "--quiet")
	cmd.Dir, cmd.Env = alice.home, []string{"PATH=/usr/bin:/bin", "HOME=" + alice.home, "USER=" + alice.name}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(alice.uid), Gid: uint32(alice.uid)}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("google-authenticator: %v\n%s", err, out)
	}
	file := filepath.Join(alice.home, ".google_authenticator")
	text, err := os.ReadFile(file)
	ok(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(line)
	ok(t, err)
	app := &button{secret: secret, digits: 6, count: 1} // where google-authenticator begins
	ok(t, os.WriteFile("/etc/pam.d/google", []byte("auth required pam_google_authenticator.so\n"), 0o644))
	passGoogle(t, alice, app.press(t))
	expectSaid(t, s.mustControl("import", "google-authenticator", "--yes", file), alice.name, "6 digits, counts from 2", "is set up")
	s.tokenSpent(alice, app.at(t, 1))
	s.tokenIn(alice, app.press(t))

	b := newButton(8)
	b.count = 3
	users := s.path("users.oath")
	ok(t, os.WriteFile(users, fmt.Appendf(nil, "HOTP/E/8 %s - %x\n", bob.name, b.secret), 0o600))
	ok(t, os.WriteFile("/etc/pam.d/oath", fmt.Appendf(nil, "auth required pam_oath.so usersfile=%s window=20 digits=8\n", users), 0o644))
	tx, err := pam.StartFunc("oath", bob.name, func(pam.Style, string) (string, error) { return b.press(t), nil })
	ok(t, err)
	ok(t, errors.Join(tx.Authenticate(0), tx.End()))
	expectSaid(t, s.mustControl("import", "oath", "--yes", users), bob.name, "8 digits, counts from 4", "is set up")
	s.tokenSpent(bob, b.at(t, 3), b.at(t, 2))
	s.tokenIn(bob, b.press(t))
}

// An administrator gives out a token by its secret, or an app that counts, and says where
// it stands; the first code confirms it.
func TestTokenOfAnAdministrator(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	b := newButton(6)
	b.count = 40
	ok(t, os.WriteFile(s.path("secret"), fmt.Appendf(nil, "%x\n", b.secret), 0o600))
	expectSaid(t, s.mustControl("enroll", alice.name, "--hotp", "--secret-file", s.path("secret"), "--serial", "1234", "--counter", "40"), alice.name)
	expectSaid(t, s.mustControl("show", alice.name), "not confirmed yet", "1234")
	s.tokenSpent(alice, b.at(t, 39))
	s.tokenIn(alice, b.press(t))
	expectSaid(t, s.mustControl("show", alice.name), "token:              since", "next code:          41")
	next := countingPhone(t, s.mustControl("enroll", alice.name, "--hotp", "--qr"))
	s.tokenIn(alice, next.press(t))
}

// Where the state of logins was lost nobody knows which codes are used: none is good, and
// nobody is charged, until an administrator finds the token again by two codes in a row.
func TestTokenAfterTheStateWasLost(t *testing.T) {
	s, alice, b := ofToken(t)
	s.tokenIn(alice, b.press(t))
	ok(t, s.stopDaemon())
	out, err := exec.CommandContext(t.Context(), artefact("mfad"), "--config", s.path("mfa.toml"), "--new-state").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expectSaid(t, string(out), "tokens")
	s.startDaemon()
	c := s.begin(alice)
	c.expect(t, tokenCode)
	c.send(b.at(t, 0))
	expectSaid(t, c.expectOut(t), "not known any more")
	expectSaid(t, s.mustControl("show", alice.name), "not known any more", "recent failures:    0")
	s.mustControl("import", "pskc", "--yes", s.path("tokens.xml")) // which is older
	expectSaid(t, s.mustControl("show", alice.name), "not known any more")
	s.mustControl("enroll", alice.name, "--hotp", "--codes", b.press(t)+","+b.press(t))
	s.tokenSpent(alice, b.at(t, 0))
	s.tokenIn(alice, b.press(t))
}

// A token that somebody has cannot be another's: not by a list, by its secret in an
// administrator's hands or in the person's own, nor from the shelf. When they have it no
// more, it goes on where they were, also where that was lost.
func TestATokenOfAnother(t *testing.T) {
	s, alice, b := ofToken(t)
	bob := newAccount(t, "bob")
	s.tokenIn(alice, b.press(t))
	secret := s.path("secret")
	ok(t, os.WriteFile(secret, fmt.Appendf(nil, "%x\n", b.secret), 0o600))
	refused := func(words string, args ...string) {
		t.Helper()
		said, status := s.control(args...)
		if status == 0 {
			t.Errorf("%q: done", args)
		}
		expectSaid(t, said, words)
	}
	refused("set up for \""+alice.name+"\"", "enroll", bob.name, "--hotp", "--secret-file", secret)
	refused("set up for \""+alice.name+"\"", "import", "pskc", "--yes", s.pskc("another", bob, b))
	list := s.path("waits.csv")
	ok(t, os.WriteFile(list, fmt.Appendf(nil, "serial,secret\nwaits,%x\n", b.secret), 0o600))
	expectSaid(t, s.mustControl("import", "pskc", "--yes", list), "stays out: "+alice.name)

	c := s.begin(bob)
	c.pick(t, offerToken, "")
	c.expect(t, `Serial number or secret: $`)
	c.send(hex.EncodeToString(b.secret))
	c.expect(t, `Code[^\n]*: $`)
	c.send(b.at(t, 1))
	expectSaid(t, c.expectOut(t), "somebody else's")
	s.expectNoRecord(bob)
	s.tokenIn(alice, b.press(t))

	s.mustControl("reset", alice.name, "--yes")
	s.mustControl("enroll", bob.name, "--hotp", "--secret-file", secret)
	s.tokenSpent(bob, b.at(t, 0), b.at(t, 1))
	s.tokenIn(bob, b.press(t))

	ok(t, s.stopDaemon())
	if out, err := exec.CommandContext(t.Context(), artefact("mfad"), "--config", s.path("mfa.toml"), "--new-state").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.startDaemon()
	refused("set up for \""+bob.name+"\"", "enroll", alice.name, "--hotp", "--secret-file", secret)
	for _, who := range []account{bob, alice} {
		s.mustControl("reset", bob.name, "--yes")
		s.mustControl("enroll", who.name, "--hotp", "--secret-file", secret)
		c = s.begin(who)
		c.expect(t, tokenCode)
		c.send(b.at(t, 1))
		expectSaid(t, c.expectOut(t), "not known any more")
	}
}

// Guesses lock as those of any code do.
func TestGuessesAtATokenLock(t *testing.T) {
	s, alice, b := ofToken(t)
	guess := wrong(b.at(t, 0))
	for range 2 {
		c := s.begin(alice)
		for {
			if _, err := c.wait(`Code[^\n]*: $`); err != nil {
				break
			}
			c.send(guess)
		}
		c.close()
	}
	c := s.begin(alice)
	expectSaid(t, c.expectOut(t), "locked")
	s.mustControl("unlock", alice.name)
	s.tokenIn(alice, b.press(t))
}

// Guesses at a token that waits are counted, of whoever makes them and for the token. At the
// bound a code that is right is not looked at either, until an administrator brings the
// token in anew or gives it out. Logins are charged with none of it.
func TestGuessesAtATokenThatWaits(t *testing.T) {
	s, alice := nothingYet(t, withTokens)
	bob, carol := newAccount(t, "bob"), newAccount(t, "carol")
	tokens := []*button{newButton(6), {secret: []byte("abcdefghij0123456789"), digits: 6}}
	list := s.path("tokens.csv")
	ok(t, os.WriteFile(list, fmt.Appendf(nil, "serial,secret\nN-0,%x\nN-1,%x\n", tokens[0].secret, tokens[1].secret), 0o600))
	s.mustControl("import", "pskc", "--yes", list)
	const shut = `Too many codes were typed for tokens`
	begin := func(a account, number string) *terminal {
		t.Helper()
		c := s.begin(a)
		if menu := c.expect(t, `(Code[^\n]*: |Choice \[1\]: )$`); strings.Contains(menu, "type n to begin anew") {
			c.send("n")
		} else {
			c.send("1")
		}
		c.expect(t, `Serial number or secret: $`)
		c.send(number)
		c.expect(t, `number `+number+`[^\0]*Code[^\n]*: $`)
		return c
	}
	guess := wrong(tokens[0].at(t, 0))
	for tried := 0; tried < 10; {
		c := begin(alice, "N-0")
		for range min(3, 10-tried) {
			c.send(guess)
			c.expect(t, `not right`)
			tried++
		}
		c.close()
	}
	for _, c := range []struct {
		who    account
		number string
		token  *button
	}{{alice, "N-0", tokens[0]}, {bob, "N-0", tokens[0]}, {alice, "N-1", tokens[1]}} {
		talk := begin(c.who, c.number)
		talk.send(c.token.at(t, 0))
		talk.expect(t, shut)
		talk.close()
		s.expectNoRecord(c.who)
	}
	s.expectFailures(alice, 10)
	s.expectFailures(bob, 0)
	expectSaid(t, s.mustControl("audit", "--event", "factor.failed"), "to set up the token of the number N-0")

	c := begin(bob, "N-1") // which alice's tries shut for nobody
	c.send(tokens[1].press(t))
	c.keep(t)
	c.expectIn(t)
	s.mustControl("import", "pskc", "--yes", "--replace", list)
	c = begin(carol, "N-0")
	c.send(tokens[0].press(t))
	c.keep(t)
	c.expectIn(t)
	s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message") // who is not locked
	expectSaid(t, s.mustControl("explain", alice.name), "a code is asked for")
}
