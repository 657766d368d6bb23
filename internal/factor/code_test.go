package factor

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"math"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/seal"
)

func TestNewCodeHasItsDigits(t *testing.T) {
	for _, digits := range []int{6, 8, 10} {
		code, err := NewCode(rand.Reader, digits)
		if err != nil {
			t.Fatal(err)
		}
		if len(code) != digits || !regexp.MustCompile(`^[0-9]+$`).MatchString(code) {
			t.Errorf("code %q for %d digits", code, digits)
		}
	}
	small, err := NewCode(bytes.NewReader(binary.BigEndian.AppendUint64(nil, 42)), 6)
	if err != nil || small != "000042" {
		t.Errorf("code %q %v, want leading zeros", small, err)
	}
}

// A value past the last whole multiple of a million would make small codes a
// little likelier: it is drawn again.
func TestNewCodeIsUniform(t *testing.T) {
	var b []byte
	b = binary.BigEndian.AppendUint64(b, math.MaxUint64)
	b = binary.BigEndian.AppendUint64(b, 7)
	code, err := NewCode(bytes.NewReader(b), 6)
	if err != nil || code != "000007" {
		t.Errorf("code %q %v, want the second draw", code, err)
	}
	if _, err := NewCode(bytes.NewReader(nil), 6); err == nil {
		t.Error("no randomness, but a code")
	}
	// Chi-squared over the first digit, 9 degrees of freedom: 50 has p < 1e-7.
	const n = 20000
	var count [10]int
	for range n {
		code, err := NewCode(rand.Reader, 6)
		if err != nil {
			t.Fatal(err)
		}
		count[code[0]-'0']++
	}
	var chi float64
	for _, c := range count {
		chi += math.Pow(float64(c)-n/10, 2) / (n / 10)
	}
	if chi > 50 {
		t.Errorf("first digits %v: chi-squared %.1f", count, chi)
	}
}

func key(t *testing.T) *seal.Key {
	t.Helper()
	k, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCodeIsBoundToAllItIsGoodFor(t *testing.T) {
	k := key(t)
	alice := mfa.Identity{Name: "alice", UID: 1000}
	origin := mfa.Origin{Service: "sshd", Address: "192.0.2.1"}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	p := NewPending(k, alice, origin, mfa.Email, "alice@example.com", "123456", now, 10*time.Minute)
	if bytes.Contains(p.MAC, []byte("123456")) || !p.Sent.Equal(now) || !p.Expires.Equal(now.Add(10*time.Minute)) {
		t.Errorf("pending %+v", p)
	}
	if !CodeMatches(k, alice, p, "123456") {
		t.Error("the code is refused")
	}
	for _, answer := range []string{"", "123457", "1234567", "12345", "0123456", "123 456"} {
		if CodeMatches(k, alice, p, answer) {
			t.Errorf("answer %q is taken", answer)
		}
	}
	change := map[string]func(id *mfa.Identity, p *mfa.PendingCode){
		"user":    func(id *mfa.Identity, _ *mfa.PendingCode) { id.Name = "bob" },
		"uid":     func(id *mfa.Identity, _ *mfa.PendingCode) { id.UID = 1001 },
		"origin":  func(_ *mfa.Identity, p *mfa.PendingCode) { p.Origin = "sshd|192.0.2.2|" },
		"method":  func(_ *mfa.Identity, p *mfa.PendingCode) { p.Method = mfa.SMS },
		"address": func(_ *mfa.Identity, p *mfa.PendingCode) { p.To = "eve@example.com" },
		"nonce":   func(_ *mfa.Identity, p *mfa.PendingCode) { p.Nonce = make([]byte, nonceSize) },
	}
	for name, f := range change {
		id, q := alice, p
		f(&id, &q)
		if CodeMatches(k, id, q, "123456") {
			t.Errorf("the code is good for another %s", name)
		}
	}
	if CodeMatches(key(t), alice, p, "123456") {
		t.Error("the code is good under another key")
	}
}

func FuzzCodeMatches(f *testing.F) {
	k, err := seal.Create(filepath.Join(f.TempDir(), "key"))
	if err != nil {
		f.Fatal(err)
	}
	id := mfa.Identity{Name: "alice", UID: 1}
	p := NewPending(k, id, mfa.Origin{Service: "sshd"}, mfa.Email, "a@b", "123456", time.Time{}, time.Minute)
	f.Add("123456")
	f.Add("12 34-56")
	f.Add("\x00")
	f.Fuzz(func(t *testing.T, answer string) {
		if CodeMatches(k, id, p, answer) != (answer == "123456") {
			t.Errorf("answer %q", answer)
		}
	})
}
