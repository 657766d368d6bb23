package factor

import (
	"bytes"
	"crypto/rand"
	"testing"
)

func TestForeignBackupSet(t *testing.T) {
	set, err := ForeignBackupSet(rand.Reader, []string{"00000000", "12345678"})
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]int{"12345678": 1, "1234 5678": 1, "1234-5678": 1, "00000000": 0} {
		if i, ok, err := MatchBackup(set, answer); err != nil || !ok || i != want {
			t.Errorf("%q: %d, %v, %v", answer, i, ok, err)
		}
	}
	for _, answer := range []string{"", "12345679", "1234567", "123456780", "abcdefgh"} {
		if i, ok, err := MatchBackup(set, answer); err != nil || ok {
			t.Errorf("%q: %d, %v, %v", answer, i, ok, err)
		}
	}
}

func TestForeignBackupSetRefuses(t *testing.T) {
	for _, codes := range [][]string{nil, {"1234567"}, {"123456789"}, {"1234567a"}, {"12345678", ""}, make([]string, 101)} {
		if _, err := ForeignBackupSet(rand.Reader, codes); err == nil {
			t.Errorf("%q was taken", codes)
		}
	}
	if _, err := ForeignBackupSet(bytes.NewReader(nil), []string{"12345678"}); err == nil {
		t.Error("no randomness, and no error")
	}
}
