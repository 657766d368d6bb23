package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
)

// columns is how wide the narrowest terminals are, and maxInfo how many messages
// older clients of ssh take in one login.
const (
	columns = 60
	maxInfo = 32
)

// narrow makes a terminal as wide as the narrowest are.
func narrow(t *testing.T, c *terminal) *terminal {
	t.Helper()
	ok(t, pty.Setsize(c.file, &pty.Winsize{Rows: 24, Cols: columns}))
	return c
}

// expectNarrow ends the test if c showed a line that is wider than columns. Only
// a URI is, which nobody reads. Ssh puts "(user@host) " before each prompt.
func expectNarrow(t *testing.T, c *terminal, a account) {
	t.Helper()
	for line := range strings.Lines(c.said.String()) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\n"), "("+a.name+"@127.0.0.1) ")
		if n := len([]rune(line)); n > columns && !strings.HasPrefix(line, "otpauth://") {
			t.Errorf("%d columns: %s", n, strconv.Quote(line))
		}
	}
}

// expectFew ends the test if the daemon showed more than maxInfo messages that
// want no answer.
func expectFew(t *testing.T, shown []mfa.Prompt) {
	t.Helper()
	n := 0
	for _, p := range shown {
		if p.Kind == mfa.Info || p.Kind == mfa.Failure {
			n++
		}
	}
	if n > maxInfo {
		t.Errorf("%d messages among %d prompts of one login, want at most %d", n, len(shown), maxInfo)
	}
}

func TestSixtyColumnsAndFewMessages(t *testing.T) {
	s, clock := inProcess(t, "code.max_sends = 3")
	tap, arg := s.newTap()
	s.stack("sshd", "auth requisite pam_unix.so nodelay", "auth required "+artefact("pam_mfa.so")+" "+arg)
	alice := newAccount(t, "alice")
	screen := func(name string, start func() *terminal, use func(c *terminal)) {
		t.Helper()
		before := len(tap.prompts(t))
		t.Run(name, func(t *testing.T) {
			c := narrow(t, start())
			use(c)
			expectNarrow(t, c, alice)
			expectFew(t, tap.prompts(t)[before:])
		})
	}
	login := func() *terminal { return s.begin(alice) }
	own := func(verb string) func() *terminal { return func() *terminal { return s.own(alice, verb) } }
	var p phone
	screen("enroll by app", login, func(c *terminal) {
		c.pick(t, offerEmail, "")
		c.expect(t, emailPrompt)
		c.send("not an address")
		c.expect(t, emailPrompt)
		c.send(alice.email)
		c.expect(t, codePrompt(alice))
		for _, line := range []string{"", "r", "000000", "m"} {
			c.send(line)
			if line != "m" {
				c.expect(t, codeWanted)
			}
		}
		c.pick(t, offerApp, "")
		p = c.scan(t)
		c.send("r")
		c.expect(t, codeWanted)
		c.send(p.code(t, clock.step(p.period)))
		c.keep(t)
		c.expectIn(t)
	})
	var codes []string
	screen("new backup codes", own("backup-codes"), func(c *terminal) {
		c.expect(t, codeOrMenu)
		c.send(p.code(t, clock.step(p.period)))
		codes = backupLine.FindAllString(c.expectStatus(t, 0), -1)
	})
	screen("add email", own("enroll"), func(c *terminal) {
		c.expect(t, codeOrMenu)
		c.send(p.code(t, clock.step(p.period)))
		c.pick(t, offerEmail, "")
		c.expect(t, emailPrompt)
		c.send(alice.email)
		c.expect(t, codePrompt(alice))
		c.send(s.code(alice, 2))
		c.expectStatus(t, 0)
	})
	screen("every way", login, func(c *terminal) {
		c.expect(t, codeOrMenu)
		for _, line := range []string{"", "r", p.code(t, clock.now())} {
			c.send(line)
			c.expect(t, codeOrMenu)
		}
		c.send("m")
		c.expect(t, choicePrompt)
		c.send("9")
		c.pick(t, byEmail, "")
		c.expect(t, codeOrMenu)
		for _, line := range []string{"", "r", password} {
			c.send(line)
			c.expect(t, codeOrMenu)
		}
		c.send("m")
		c.pick(t, byBackup, "")
		for _, line := range []string{"", "r", "2222-2222-2222", codes[0]} {
			c.expect(t, backupPrompt)
			c.send(line)
		}
		c.expectIn(t)
	})
	screen("resend", login, func(c *terminal) {
		c.expect(t, codeOrMenu)
		c.send("m")
		c.pick(t, byEmail, "")
		c.expect(t, ` ago[^\0]*`+codeOrMenu)
		clock.step(p.period)
		clock.step(p.period)
		c.send("r")
		c.expect(t, codeOrMenu)
		for range 2 {
			c.send("000000")
			c.expect(t, codeOrMenu)
		}
		c.send("000000")
		c.expectOut(t)
	})
	screen("lock", login, func(c *terminal) {
		for range 2 {
			c.expect(t, codeOrMenu)
			c.send("000000")
		}
		c.expectOut(t)
	})
	screen("locked", login, func(c *terminal) {
		c.expect(t, recoveryPrompt)
		c.send("123456")
		c.expect(t, recoveryPrompt)
		c.send("")
		c.expectOut(t)
	})
	if n := len(tap.prompts(t)); n < 30 {
		t.Errorf("only %d prompts were looked at", n)
	}
}

func TestQRCodeInASCIICrossesSSHD(t *testing.T) {
	s, clock := inProcess(t, `prompt.qr = "ascii"`)
	alice := newAccount(t, "alice")
	c := s.begin(alice)
	c.pick(t, offerApp, "")
	c.expect(t, codeWanted)
	c.send("q")
	p := scan(t, halved(c.expect(t, codeWanted)))
	c.send(p.code(t, clock.step(p.period)))
	c.keep(t)
	c.expectIn(t)
}

// The QR code is whole on a terminal of 24 lines, the prompt under it, whatever
// the host is called.
func TestQRCodeFitsOn24Lines(t *testing.T) {
	const rows = 24
	for _, host := range []string{"web1", "web1.internal.example.com", strings.Repeat("x", 52) + ".example.com"} {
		t.Run(host, func(t *testing.T) {
			ok(t, unix.Sethostname([]byte(host)))
			defer unix.Sethostname([]byte(hostName))
			s, clock := inProcess(t)
			alice := newAccount(t, "alice")
			c := s.begin(alice)
			ok(t, pty.Setsize(c.file, &pty.Winsize{Rows: rows, Cols: 80}))
			c.pick(t, offerApp, "")
			if text := c.expect(t, codeWanted); strings.Count(text, "\n") >= rows {
				t.Errorf("the text with the key has %d lines", strings.Count(text, "\n")+1)
			}
			c.send("q")
			lines := strings.Split(c.expect(t, codeWanted), "\n")
			p := scan(t, strings.Join(lines[max(0, len(lines)-rows):], "\n"))
			c.send(p.code(t, clock.step(p.period)))
			c.keep(t)
			c.expectIn(t)
		})
	}
}

// halved draws a QR code of ## in half blocks.
func halved(screen string) string {
	var rows []string
	for line := range strings.Lines(screen) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "##") && strings.Trim(line, "# ") == "" {
			rows = append(rows, line)
		}
	}
	if len(rows)%2 == 1 {
		rows = append(rows, strings.Repeat(" ", len(rows[0])))
	}
	var b strings.Builder
	for y := 0; y+1 < len(rows); y += 2 {
		for x := 0; x < min(len(rows[y]), len(rows[y+1])); x += 2 {
			upper, lower := rows[y][x] == '#', rows[y+1][x] == '#'
			b.WriteString(map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {}: " "}[[2]bool{upper, lower}])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
