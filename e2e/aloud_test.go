package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
)

// recorded opens a terminal with a program as script(1) records it, as somebody has it
// whose screen is read aloud (TERM=dumb) or looked at. What it returns gives the recording,
// byte for byte, once the program has ended.
func recorded(t *testing.T, term string, argv ...string) (*terminal, func() string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "typescript")
	var quoted []string
	for _, arg := range argv {
		quoted = append(quoted, "'"+strings.ReplaceAll(arg, "'", `'\''`)+"'")
	}
	cmd := exec.Command("script", "--quiet", "--flush", "--return", "--command", strings.Join(quoted, " "), file)
	cmd.Env = append(os.Environ(), "TERM="+term)
	return open(t, cmd), func() string {
		t.Helper()
		text, err := os.ReadFile(file)
		ok(t, err)
		lines := strings.SplitAfter(string(text), "\n")
		return scriptEnd.ReplaceAllString(strings.Join(lines[1:], ""), "\n") // the first is of script, too
	}
}

// Texts that a screen reader cannot say, or says again and again.
var (
	scriptEnd = regexp.MustCompile(`\r?\nScript done on [^\n]*\n$`)
	coloured  = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	redrawn   = regexp.MustCompile(`[^\r\n]\r[^\r\n]`) // ssh itself begins lines with one
	progress  = regexp.MustCompile(`\r[^\n]*\x1b\[K`)
	keyAloud  = regexp.MustCompile(`(?m)^Key: [A-Z2-7]{4}(?: [A-Z2-7]{4})+\r?$`)
	codeAsked = regexp.MustCompile(`^(?:\([^)]*\) )?Code[^:]*: `)
	digits    = regexp.MustCompile(`[0-9]+`)
)

// drawings are the characters of boxes and blocks.
func drawings(r rune) bool { return r >= 0x2500 && r <= 0x259f }

// expectAloud fails the test unless what was recorded can be read aloud: no drawing, and
// with TERM=dumb no escape sequence and no line that is written over.
func expectAloud(t *testing.T, name, text string) {
	t.Helper()
	if strings.ContainsFunc(text, drawings) {
		t.Errorf("%s draws what nobody asked for:\n%s", name, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }); i >= 0 {
		t.Errorf("%s has the control character %q", name, text[i:min(len(text), i+10)])
	}
	if over := redrawn.FindString(text); over != "" {
		t.Errorf("%s writes over a line: %q", name, over)
	}
	if t.Failed() {
		t.Logf("%s: %q", name, text)
	}
}

// expectQuestions fails the test unless each question of a login has a sentence before it
// that says what is asked.
func expectQuestions(t *testing.T, name, text string) {
	t.Helper()
	lines, asked := strings.Split(strings.ReplaceAll(text, "\r", ""), "\n"), 0
	for i, line := range lines {
		if !codeAsked.MatchString(line) {
			continue
		}
		asked++
		if i == 0 || !strings.HasSuffix(lines[i-1], ".") {
			t.Errorf("%s: nothing says what %q asks for: %q", name, line, lines[max(0, i-3):i])
		}
	}
	if asked == 0 {
		t.Errorf("%s asks for no code: %q", name, text)
	}
}

// What people and administrators see, recorded as a screen reader gets it: nothing is drawn
// that nobody asked for, nothing is said by colour alone, no line is written over, keys and
// codes stand in groups, and each question says what it asks for.
func TestReadAloud(t *testing.T) {
	s, alice := debian(t)
	bob := newAccount(t, "bob")
	control := func(term string, args ...string) (*terminal, func() string) {
		return recorded(t, term, append([]string{artefact("mfactl"), "--socket", s.path("run/control.sock")}, args...)...)
	}
	config := []string{"--config", s.path("mfa.toml")}

	c, text := control("dumb", append([]string{"setup", "sshd"}, config...)...)
	c.expect(t, `Make these changes\? \[y/N\] $`)
	c.send("y")
	c.expect(t, nowLogIn)
	login, loginText := recorded(t, "dumb", s.sshCommand(alice).Args...)
	login.toCode(s, alice)
	login.send(s.code(alice, 1))
	login.expectIn(t)
	expectSaid(t, c.expectStatus(t, 0), "The change stays")
	expectAloud(t, "setup", text())
	expectAloud(t, "a login", loginText())
	expectQuestions(t, "a login", loginText())

	c, text = recorded(t, "dumb", s.sshCommand(bob).Args...)
	c.expect(t, `Password: $`)
	c.send(password)
	c.pick(t, offerApp, "")
	key := c.expect(t, codeWanted)
	c.send(phoneOf(t, regexp.MustCompile(`otpauth://\S+`).FindString(key)).code(t, time.Now()))
	codes := c.keep(t)
	c.expectIn(t)
	expectAloud(t, "enrolling an app", text())
	expectQuestions(t, "enrolling an app", text())
	if len(codes) == 0 || !keyAloud.MatchString(text()) {
		t.Errorf("the key or the backup codes are not in groups: %q", text())
	}

	for _, args := range [][]string{{"status"}, {"users"}, {"show", alice.name}, {"audit"}, append([]string{"doctor"}, config...)} {
		dumb, aloud := control("dumb", args...)
		_, _, err := dumb.finish()
		ok(t, err)
		expectAloud(t, args[0], aloud())
		looked, seen := control("xterm-256color", args...)
		_, _, err = looked.finish()
		ok(t, err)
		plain := coloured.ReplaceAllString(progress.ReplaceAllString(seen(), ""), "")
		if a, b := digits.ReplaceAllString(plain, "0"), digits.ReplaceAllString(aloud(), "0"); a != b {
			t.Errorf("%s says with colours\n%s\nand without\n%s", args[0], a, b)
		}
		if (args[0] == "doctor" || args[0] == "audit") && !coloured.MatchString(seen()) {
			t.Errorf("%s has no colours that could be taken away", args[0])
		}
	}

	for _, flags := range [][]string{nil, {"--qr"}} {
		c, text = control("dumb", append([]string{"enroll", alice.name, "--totp", "--no-message"}, flags...)...)
		c.expectStatus(t, 0)
		if drawn := strings.ContainsFunc(text(), drawings); drawn != (flags != nil) {
			t.Errorf("with %q a drawing: %v", flags, drawn)
		}
		if !keyAloud.MatchString(text()) {
			t.Errorf("the key is not in groups: %q", text())
		}
	}
}
