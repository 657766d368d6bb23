package factor

import (
	"bytes"
	"crypto/rand"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/seal"
)

func TestRecoveryCode(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		code, err := NewRecoveryCode(rand.Reader)
		if err != nil || seen[code] || !regexp.MustCompile(`^[`+backupAlphabet+`]{4}(-[`+backupAlphabet+`]{4}){3}$`).MatchString(code) {
			t.Fatalf("code %q %v", code, err)
		}
		seen[code] = true
	}
	if _, err := NewRecoveryCode(strings.NewReader("")); err == nil {
		t.Error("a code without randomness")
	}
}

func TestRecoveryMatches(t *testing.T) {
	k, alice := key(t), mfa.Identity{Name: "alice", UID: 1000}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := NewRecovery(k, alice, "2589-vwxy-9345-acde", now, 24*time.Hour)
	if bytes.Contains(r.MAC, []byte("2589")) || !r.Expires.Equal(now.Add(24*time.Hour)) {
		t.Errorf("kept: %+v", r)
	}
	for answer, want := range map[string][2]bool{
		"2589-vwxy-9345-acde": {true, true}, "ZSBQ UWXY G34S ACDE": {true, true},
		"2589-vwxy-9345-acdf": {false, true}, "2589-vwxy-9345-acd": {false, false},
		"2589-vwxy-9345-acdea": {false, false}, "": {false, false}, "123456": {false, false},
	} {
		if right, shaped := RecoveryMatches(k, alice, r, answer); right != want[0] || shaped != want[1] {
			t.Errorf("answer %q: %v %v, want %v", answer, right, shaped, want)
		}
	}
	other := r
	other.Nonce = make([]byte, nonceSize)
	for name, is := range map[string]func() (bool, bool){
		"user": func() (bool, bool) {
			return RecoveryMatches(k, mfa.Identity{Name: "bob", UID: 1000}, r, "2589vwxy9345acde")
		},
		"uid": func() (bool, bool) {
			return RecoveryMatches(k, mfa.Identity{Name: "alice", UID: 1001}, r, "2589vwxy9345acde")
		},
		"nonce": func() (bool, bool) { return RecoveryMatches(k, alice, other, "2589vwxy9345acde") },
		"key":   func() (bool, bool) { return RecoveryMatches(key(t), alice, r, "2589vwxy9345acde") },
		"empty": func() (bool, bool) { return RecoveryMatches(k, alice, mfa.Recovery{}, "2589vwxy9345acde") },
	} {
		if right, _ := is(); right {
			t.Errorf("the code is good for another %s", name)
		}
	}
}

func FuzzRecoveryMatches(f *testing.F) {
	k, err := seal.Create(filepath.Join(f.TempDir(), "key"))
	if err != nil {
		f.Fatal(err)
	}
	id := mfa.Identity{Name: "alice", UID: 1}
	r := NewRecovery(k, id, "2589-vwxy-9345-acde", time.Time{}, time.Hour)
	f.Add("2589-vwxy-9345-acde")
	f.Add("ZSBQ UWXY.G34S-ACDE")
	f.Add("\u212a\x00\xff.")
	same := strings.NewReplacer("z", "2", "s", "5", "b", "8", "g", "9", "q", "9", "u", "v")
	f.Fuzz(func(t *testing.T, answer string) {
		bare := regexp.MustCompile(`[ .-]`).ReplaceAllString(answer, "")
		want := regexp.MustCompile(`^[0-9A-Za-z]*$`).MatchString(bare) && same.Replace(strings.ToLower(bare)) == "2589vwxy9345acde"
		code, ok := recoveryCode(answer)
		if right, shaped := RecoveryMatches(k, id, r, answer); right != (code == "2589vwxy9345acde") || shaped != ok || want && !right {
			t.Errorf("answer %q, read as %q: %v %v", answer, code, right, shaped)
		}
	})
}
