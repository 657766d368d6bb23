package deliver

import (
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

const testLifetime = 10 * time.Minute

var testTime = time.Date(2026, 3, 1, 14, 3, 5, 0, time.FixedZone("CET", 3600))

func TestCodeNotice(t *testing.T) {
	n := CodeNotice{
		Code: "123456", Host: "web1.example.com", User: "alice", Service: "sshd",
		Address: "203.0.113.7", Sent: testTime, Lifetime: testLifetime, To: "alice@example.com",
	}
	want := mfa.Message{
		ID: "m1", Carrier: mfa.Email, To: "alice@example.com",
		Subject: "Login code for web1.example.com",
		Text: `Your code: 123456

It completes this login:

  Host:     web1.example.com
  User:     alice
  Service:  sshd
  From:     203.0.113.7
  Time:     2026-03-01 14:03:05 +0100 (CET)

The code works once, within 10 minutes, until 14:13:05.
Type it only at the prompt of that login. Give it to nobody.

If this was not you, somebody has your password (or key):
change it now and tell your administrator.
`,
	}
	if got := n.Email("m1"); got != want {
		t.Errorf("message is\n%+v\nwant\n%+v", got, want)
	}
	n.Subject = "Anmeldung"
	if got := n.Email("m1").Subject; got != "Anmeldung" {
		t.Errorf("subject is %q, want the configured one", got)
	}
	for _, local := range []string{"", "local"} {
		n.Address = local
		if text := n.Email("m1").Text; !strings.Contains(text, "  From:     this machine itself\n") {
			t.Errorf("address %q: %q", local, text)
		}
	}
}

func TestMask(t *testing.T) {
	for addr, want := range map[string]string{
		"alice@example.com": "a***e@example.com",
		"al@example.com":    "a***l@example.com",
		"a@example.com":     "a***@example.com",
		"@example.com":      "***@example.com",
		"a@b@example.com":   "a***b@example.com",
		"zoë@example.com":   "z***?@example.com",
		"a\x1b@x\n.com":     "a***?@x?.com",
		"+17891234567":      "+1*******67",
		"+4917612345678":    "+4*******78",
		"+123":              "+*******",
		"+1789123456x":      "+*******",
		"alice":             "***",
		"":                  "***",
	} {
		if got := Mask(addr); got != want {
			t.Errorf("Mask(%q) = %q, want %q", addr, got, want)
		}
	}
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func beforeLast(s, sep string) (before string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, false
	}
	return s[:i], true
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"alice@example.com", "+17891234567", "\x00@\xff", "@", "+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		got := Mask(addr)
		if !isPrintable(got) || !strings.Contains(got, "***") {
			t.Errorf("Mask(%q) = %q", addr, got)
		}
		local, found := beforeLast(got, "@")
		shown, most := len(strings.ReplaceAll(local, "*", "")), len("+167")
		if found {
			most = 2
		}
		if shown > most {
			t.Errorf("Mask(%q) = %q shows %d characters, want at most %d", addr, got, shown, most)
		}
	})
}

func FuzzCodeNotice(f *testing.F) {
	f.Add("alice", "203.0.113.7", "sshd", "web1", "Subject")
	f.Add("a\r\nBcc: x@y.z\r\n\r\n", "::1%eth0", "\x1b]0;x\a", strings.Repeat("ü", 300), "a\nb: c")
	f.Fuzz(func(t *testing.T, user, address, service, host, subject string) {
		m := CodeNotice{
			Code: "123456", Host: host, User: user, Service: service, Address: address,
			Sent: testTime, Lifetime: testLifetime, To: "alice@example.com", Subject: subject,
		}.Email("m1")
		lines := strings.Split(m.Text, "\n")
		if want := strings.Count(CodeNotice{Service: service}.Email("1").Text, "\n") + 1; len(lines) != want {
			t.Errorf("%d lines, want %d: %q", len(lines), want, m.Text)
		}
		for _, l := range lines {
			if len(l) >= 72 || !isPrintable(l) {
				t.Errorf("line %q", l)
			}
		}
	})
}

func TestNoticeTellsTheService(t *testing.T) {
	n := Notice{Host: "host", User: "alice", Service: "ss\nhd", Address: "192.0.2.1", What: text.Of("What.")}
	if text := n.Email("1").Text; !strings.Contains(text, "\n  Service:  ss?hd\n") {
		t.Errorf("text %q", text)
	}
	n.Service = ""
	if text := n.Email("1").Text; strings.Contains(text, "Service") {
		t.Errorf("text %q", text)
	}
}
