package e2e

import (
	"image"
	"image/color"
	"image/png"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// How the prompts of setting up end.
const (
	choicePrompt = `Choice \[1\]: $`
	emailPrompt  = `Email address: $`
	keptPrompt   = `Press Enter when they are kept: $`
	codeWanted   = `Code: $`
	codeOrMenu   = `Code \((?:r = resend, )?m = other method\): $` // of a code that is sent, or not
	backupPrompt = `Backup code: $`
)

// Names of the methods in the menus.
const (
	offerApp   = "Authenticator app"
	offerEmail = "Codes by email"
	offerSkip  = "Skip for now"
	offerLater = "Later"
	byApp      = "Code from your authenticator app"
	byEmail    = "Code by email"
	byBackup   = "Backup code"
)

// nothingYet makes a site with password and code for sshd, the daemon and sshd
// running, and a user who has no second factor.
func nothingYet(t testing.TB, settings ...string) (*site, account) {
	t.Helper()
	s := newSite(t)
	s.set(settings...)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	return s, newAccount(t, "alice")
}

// set changes settings, each written as "table.key = value".
func (s *site) set(settings ...string) {
	for _, line := range settings {
		key, value, _ := strings.Cut(line, " = ")
		s.settings[key] = value
	}
}

// begin opens a login and types the password.
func (s *site) begin(a account) *terminal {
	s.t.Helper()
	c := s.ssh(a)
	c.expect(s.t, `Password: $`)
	c.send(password)
	return c
}

// pick waits for a menu, chooses the item that begins with words and types what
// follows its number. It returns the menu.
func (c *terminal) pick(t testing.TB, words, behind string) string {
	t.Helper()
	menu := c.expect(t, choicePrompt)
	m := regexp.MustCompile(`(?m)^ +(\d+)  ` + regexp.QuoteMeta(words)).FindStringSubmatch(menu)
	if m == nil {
		t.Fatalf("the menu does not offer %q: %q", words, menu)
	}
	c.send(m[1] + behind)
	return menu
}

// backupLine matches what shows backup codes.
var backupLine = regexp.MustCompile(`[2-9a-y]{4}(?:-[2-9a-y]{4}){3}`)

// keep waits for the backup codes at the end of a setup, says that they are kept
// and returns them.
func (c *terminal) keep(t testing.TB) []string {
	t.Helper()
	codes := backupLine.FindAllString(c.expect(t, keptPrompt), -1)
	c.send("")
	return codes
}

// A phone is an authenticator app: oathtool, with what it read from a QR code.
type phone struct {
	secret, algorithm string
	digits            int
	period            time.Duration
}

// code returns what the app shows at a time.
func (a phone) code(t testing.TB, at time.Time) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "oathtool", "--base32", "--totp="+a.algorithm,
		"--digits="+strconv.Itoa(a.digits), "--time-step-size="+strconv.Itoa(int(a.period/time.Second)),
		"--now="+at.UTC().Format("2006-01-02 15:04:05 UTC"), a.secret).CombinedOutput()
	if err != nil {
		t.Fatalf("oathtool (package oathtool, see install.sh): %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// scan finds the QR code among what a terminal shows, and returns the phone
// that has read it with nothing but eyes: as it looks on a dark screen and on a light
// one.
func scan(t testing.TB, screen string) phone {
	t.Helper()
	drawing := drawn(screen)
	if len(drawing) == 0 {
		t.Fatalf("no QR code in %q", screen)
	}
	text := readQR(t, photo(t, drawing, color.Gray{Y: 0xd0}, color.Gray{Y: 0x10}))
	if other := readQR(t, photo(t, drawing, color.Gray{Y: 0x10}, color.Gray{Y: 0xf0})); other != text {
		t.Errorf("on a light screen the QR code is %q, on a dark one %q", other, text)
	}
	return phoneOf(t, text)
}

// phoneOf returns a phone that was given an otpauth URI, with what apps take to be
// meant when it does not say so.
func phoneOf(t testing.TB, uri string) phone {
	t.Helper()
	u, err := url.Parse(uri)
	ok(t, err)
	if u.Scheme != "otpauth" || u.Host != "totp" {
		t.Fatalf("the QR code is %q", uri)
	}
	q := u.Query()
	number := func(name string, usual int) int {
		if n, err := strconv.Atoi(q.Get(name)); err == nil {
			return n
		}
		return usual
	}
	a := phone{secret: q.Get("secret"), algorithm: "sha1", digits: number("digits", 6)}
	a.period = time.Duration(number("period", 30)) * time.Second
	if name := q.Get("algorithm"); name != "" {
		a.algorithm = strings.ToLower(name)
	}
	return a
}

// drawn returns the lines of half blocks.
func drawn(screen string) []string {
	var lines []string
	for line := range strings.Lines(screen) {
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsAny(line, "█▀▄") && strings.Trim(line, "█▀▄ ") == "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// photo returns what a terminal of these colours shows of lines of half blocks,
// with some of the empty screen around it.
func photo(t testing.TB, lines []string, ink, paper color.Gray) image.Image {
	t.Helper()
	const dot, margin = 6, 40
	width := utf8.RuneCountInString(lines[0])
	img := image.NewGray(image.Rect(0, 0, width*dot+2*margin, 2*len(lines)*dot+2*margin))
	for i := range img.Pix {
		img.Pix[i] = paper.Y
	}
	for y, line := range lines {
		for x, r := range []rune(line) {
			for half, blocks := range []string{"█▀", "█▄"} {
				if strings.ContainsRune(blocks, r) {
					square(img, margin+x*dot, margin+(2*y+half)*dot, dot, ink)
				}
			}
		}
	}
	return img
}

// square paints a square.
func square(img *image.Gray, left, top, size int, ink color.Gray) {
	for y := range size {
		for x := range size {
			img.SetGray(left+x, top+y, ink)
		}
	}
}

// readQR gives a picture to zbarimg and returns what it reads there.
func readQR(t testing.TB, img image.Image) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "photo.png")
	f, err := os.Create(name)
	ok(t, err)
	ok(t, png.Encode(f, img))
	ok(t, f.Close())
	out, err := exec.CommandContext(t.Context(), "zbarimg", "--quiet", "--raw", "--nodbus", "-Stest-inverted", name).Output()
	if err != nil {
		t.Fatalf("zbarimg (package zbar-tools, see install.sh): %v", err)
	}
	return strings.TrimSpace(string(out))
}

// step puts the clock forward to the beginning of the next period, so that a
// code an app shows now stays what it shows for a while.
func (c *clock) step(period time.Duration) time.Time {
	now := c.now()
	c.pass(now.Truncate(period).Add(period).Sub(now))
	return c.now()
}

// scan asks for the QR code at the prompt for an app's first code, and reads it.
func (c *terminal) scan(t testing.TB) phone {
	t.Helper()
	c.expect(t, "Type q to see it as a QR code"+`[^\0]*`+codeWanted)
	c.send("q")
	return scan(t, c.expect(t, codeWanted))
}

// addApp sets up an authenticator app where a conversation offers it, from the QR
// code alone.
func (c *terminal) addApp(t testing.TB, clock *clock) phone {
	t.Helper()
	a := c.scan(t)
	c.send(a.code(t, clock.step(a.period)))
	return a
}

// enrollByApp goes through a first login that sets up an authenticator app, and
// returns it and the backup codes.
func (s *site) enrollByApp(a account, clock *clock) (phone, []string) {
	s.t.Helper()
	c := s.begin(a)
	c.pick(s.t, offerApp, "")
	p := c.addApp(s.t, clock)
	codes := c.keep(s.t)
	c.expectIn(s.t)
	return p, codes
}

// enrollByEmail goes through a first login that sets up codes by email, and
// returns the backup codes.
func (s *site) enrollByEmail(a account, n int) []string {
	s.t.Helper()
	c := s.begin(a)
	c.pick(s.t, offerEmail, "")
	c.expect(s.t, emailPrompt)
	c.send(a.email)
	c.expect(s.t, codePrompt(a))
	c.send(s.code(a, n))
	codes := c.keep(s.t)
	c.expectIn(s.t)
	return codes
}

// loginByApp goes through a login with the next code of an app.
func (s *site) loginByApp(a account, p phone, clock *clock) {
	s.t.Helper()
	c := s.begin(a)
	c.expect(s.t, `authenticator app[^\0]*Code[^\n]*: $`)
	c.send(p.code(s.t, clock.step(p.period)))
	c.expectIn(s.t)
}

// own opens a terminal with mfactl, run by a.
func (s *site) own(a account, args ...string) *terminal {
	s.t.Helper()
	args = append([]string{s.installed("mfactl"), "--socket", s.path("run/control.sock")}, args...)
	return s.as(a, args...)
}

// installed returns a copy of a program where every user may run it: the folder
// it was built in may be closed to them, as root's home is.
func (s *site) installed(name string) string {
	s.t.Helper()
	program, err := os.ReadFile(artefact(name))
	ok(s.t, err)
	there := s.path(name)
	if _, err := os.Stat(there); err != nil {
		ok(s.t, os.WriteFile(there, program, 0o755))
	}
	return there
}

// expectStatus ends the test unless the program ends with that exit status. It
// returns what was written since the last match.
func (c *terminal) expectStatus(t testing.TB, want int) string {
	t.Helper()
	text, status, err := c.finish()
	ok(t, err)
	if status != want {
		t.Fatalf("%v: status %d, want %d, %q", c.cmd.Args, status, want, text)
	}
	return text
}

// reload tells the daemon to take the settings as they are now.
func (s *site) reload() {
	s.t.Helper()
	s.writeConfig()
	from := s.log.len()
	ok(s.t, s.signal(syscall.SIGHUP))
	awaitText(s.t, s.log, from, `(?i)reloaded`)
}

// notices returns the mails to a that hold no code.
func (s *site) notices(a account) []letter {
	s.t.Helper()
	found, err := s.letters(a.email)
	ok(s.t, err)
	return slices.DeleteFunc(found, func(l letter) bool { return !l.isNotice() })
}

// awaitNotice waits for the nth notice to a and ends the test unless it says all
// of words.
func (s *site) awaitNotice(a account, n int, words ...string) {
	s.t.Helper()
	eventually(s.t, "notice "+strconv.Itoa(n), func() bool { return len(s.notices(a)) >= n })
	l := s.notices(a)[n-1]
	expectSaid(s.t, unwrapped(l.subject+" "+l.body), words...)
}

// unwrapped returns a text without the line ends that a narrow screen needs.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

// What setup does to a service it does to each other one that its program asks by: else "sudo -i"
// asks for no code, and the sudo after it for nothing.
func TestSetupLeavesNoWayAround(t *testing.T) {
	s, alice := debian(t)
	maySudo(t, alice)
	const common = "@include common-auth\n@include common-account\nsession required pam_permit.so\n"
	for service, text := range map[string]string{
		"sudo": common, "sudo-i": common, "su": "auth sufficient pam_rootok.so\n" + common, "su-l": "auth include su\naccount include su\nsession include su\n",
	} {
		ok(t, os.WriteFile("/etc/pam.d/"+service, []byte(text), 0o644))
	}
	for _, service := range []string{"sudo", "su"} {
		s.setup(service, "--yes", "--confirm-within", "0").expectStatus(t, 0)
		for _, f := range s.findings(service) {
			if strings.HasPrefix(f, "way-around") {
				t.Errorf("%s: doctor finds %s", service, f)
			}
		}
	}
	for i, way := range []struct {
		who  account
		args []string
	}{
		{alice, []string{"sudo", "sh", "-c", greet}},
		{alice, []string{"sudo", "-i", "sh", "-c", greet}},
		{alice, []string{"su", "-c", greet, alice.name}},
		{alice, []string{"su", "-", "-c", greet, alice.name}},
	} {
		t.Run(strings.Join(way.args[:2], " "), func(t *testing.T) {
			c := s.as(way.who, way.args...)
			c.expect(t, `assword[^\n]*: $`)
			c.send(password)
			c.expect(t, codePrompt(alice))
			c.send(s.code(alice, i+1))
			c.expectIn(t)
		})
	}
	expectSaid(t, unwrapped(s.setup("sudo-i", "--undo").expectStatus(t, 1)), "sudo-i was changed together with sudo", "mfactl setup sudo --undo")
	s.setup("sudo", "--undo").expectStatus(t, 0)
	for _, service := range []string{"sudo", "sudo-i"} {
		text, err := os.ReadFile("/etc/pam.d/" + service)
		ok(t, err)
		if strings.Contains(string(text), "pam_mfa.so") {
			t.Errorf("%s: %s", service, text)
		}
	}

	// A machine where sudo alone was set up is told, with what mends it.
	s.stack("sudo", s.passwordThenCode()...)
	found := strings.Join(s.findings("sudo"), "\n")
	expectSaid(t, found, "way-around")
	s.setup("sudo-i", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	if found := strings.Join(s.findings("sudo"), "\n"); strings.Contains(found, "way-around") {
		t.Errorf("doctor finds %s", found)
	}
}

// What doctor tells people to write into the file that setup made keeps nothing back.
func TestUndoBehindWhatDoctorSays(t *testing.T) {
	s, _ := debian(t)
	before, err := os.ReadFile("/etc/pam.d/sshd")
	ok(t, err)
	s.setup("sshd", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	const made = "/etc/ssh/sshd_config.d/00-mfa.conf"
	text, err := os.ReadFile(made)
	ok(t, err)
	ok(t, os.WriteFile(made, append(text, "MaxStartups 100:30:300\n"...), 0o644))
	said := unwrapped(s.setup("sshd", "--undo").expectStatus(t, 0))
	expectSaid(t, said, "what they wrote is in", "sshd is as it was before.")
	after, err := os.ReadFile("/etc/pam.d/sshd")
	ok(t, err)
	if string(after) != string(before) {
		t.Errorf("%s", after)
	}
	if _, err := os.Stat(made); err == nil {
		t.Errorf("%s is there", made)
	}
}
