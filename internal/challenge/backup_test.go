package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A backup code of another set is a guess.
func TestWrongBackupCode(t *testing.T) {
	h := newHarness(t)
	codes, set, err := factor.NewBackupSet(rand.Reader, 1)
	others, _, err2 := factor.NewBackupSet(rand.Reader, 1)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, steps: []step{{"Backup", types(others[0])}, {"That code is not right. 2 tries left.", func() (string, error) {
		if n := len(h.state().Failures); n != 1 {
			t.Errorf("%d counted", n)
		}
		return codes[0], nil
	}}}}
	c := h.talk(s)
	_, v, err := c.Pose(t.Context(), Question{Code: c.BackupCode(func(context.Context) (mfa.BackupSet, error) { return set, nil }), Text: "Backup"})
	if v.Outcome != mfa.Accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}
