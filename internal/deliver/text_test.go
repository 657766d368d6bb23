package deliver

import (
	"strings"
	"testing"
	"time"
)

const testLifetime = 10 * time.Minute

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
