package enroll

import (
	"errors"
	"testing"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// google is what google-authenticator may have kept of alice.
func google() Takeover {
	return Takeover{
		Source: "google-authenticator", Secret: []byte("12345678901234567890"),
		Params:   otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"},
		LastStep: otp.Step(now, 30*time.Second), Codes: []string{"12345678", "01234567"},
	}
}

// takeOver ends the test unless it becomes of in what is wanted.
func takeOver(t *testing.T, s *Service, in Takeover, app, codes string) {
	t.Helper()
	out, err := s.TakeOver(t.Context(), alice, in, "root")
	if want := (wire.Imported{User: "alice", App: app, Codes: codes}); err != nil || out != want {
		t.Fatalf("TakeOver = %+v, %v; want %+v", out, err, want)
	}
}

func records(t *testing.T, s *Service) (mfa.Enrollment, mfa.State) {
	t.Helper()
	en, err := s.Accounts.Records().Enrollment(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Accounts.Records().State(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	return en, st
}

func TestTakeOver(t *testing.T) {
	s, in := newService(t), google()
	in.DryRun = true
	takeOver(t, s, in, wire.ImportedNew, wire.ImportedNew)
	if keys, err := s.Accounts.Records().S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Fatalf("a dry run wrote %q, %v", keys, err)
	}
	in.DryRun = false
	takeOver(t, s, in, wire.ImportedNew, wire.ImportedNew)
	en, st := records(t, s)
	if secret, err := s.Accounts.OpenTOTP(alice, en.TOTP.Secret); err != nil || string(secret) != string(in.Secret) {
		t.Errorf("secret %q, %v", secret, err)
	}
	if st.TOTPStep != in.LastStep || st.UID != alice.UID || en.UID != alice.UID {
		t.Errorf("used step %d, uids %d and %d", st.TOTPStep, st.UID, en.UID)
	}
	for i, code := range in.Codes {
		if index, ok, err := factor.MatchBackup(*en.Backup, code); err != nil || !ok || index != i {
			t.Errorf("code %d: %d, %v, %v", i, index, ok, err)
		}
	}

	// Again, with a newer step.
	in.LastStep++
	takeOver(t, s, in, wire.ImportedUnchanged, wire.ImportedKept)
	again, st := records(t, s)
	if st.TOTPStep != in.LastStep || again.Backup.ID != en.Backup.ID {
		t.Errorf("used step %d, want %d", st.TOTPStep, in.LastStep)
	}
	in.LastStep -= 5
	takeOver(t, s, in, wire.ImportedUnchanged, wire.ImportedKept)
	if _, st = records(t, s); st.TOTPStep != in.LastStep+5 {
		t.Errorf("a used step became good again: %d", st.TOTPStep)
	}
}

func TestTakeOverReplacesOnlyWhenTold(t *testing.T) {
	s, in := newService(t), google()
	takeOver(t, s, in, wire.ImportedNew, wire.ImportedNew)
	first, _ := records(t, s)
	in.Secret = []byte("another-secret-of-hers")
	takeOver(t, s, in, wire.ImportedKept, wire.ImportedKept)
	if en, _ := records(t, s); en.TOTP.Secret != first.TOTP.Secret || en.Backup.ID != first.Backup.ID {
		t.Error("replaced unasked")
	}
	in.Replace = true
	takeOver(t, s, in, wire.ImportedReplaced, wire.ImportedReplaced)
	if en, _ := records(t, s); en.TOTP.Secret == first.TOTP.Secret || en.Backup.ID == first.Backup.ID {
		t.Error("not replaced")
	}
	// Steps of 60 s are half as many: those of the former app are not in the way.
	in.Params.Period, in.LastStep = time.Minute, 0
	takeOver(t, s, in, wire.ImportedReplaced, wire.ImportedReplaced)
	if _, st := records(t, s); st.TOTPStep != 0 {
		t.Errorf("used step %d of a former app keeps the new one out", st.TOTPStep)
	}
}

// Codes of the other program that were used here stay used, however often they are taken
// over, and those that were not do not.
func TestTakeOverOfUsedCodes(t *testing.T) {
	for name, between := range map[string]func(s *Service) error{
		"replaced": func(*Service) error { return nil },
		"reset":    func(s *Service) error { _, err := s.Reset(t.Context(), "alice", "root"); return err },
		"given up": func(s *Service) error { return s.OptOut(t.Context(), s.Accounts.ByAdministrator(alice)) },
		"newer": func(s *Service) error {
			_, err := s.NewBackupCodes(t.Context(), s.Accounts.ByAdministrator(alice))
			return err
		},
	} {
		s, in := newService(t), google()
		takeOver(t, s, in, wire.ImportedNew, wire.ImportedNew)
		in.Replace = true
		for i, secret := range []string{"the-second-app-of-hers", "the-third-app-of-hers-"} {
			if i == 0 {
				en, _ := records(t, s)
				setState(t, s, func(st *mfa.State) {
					if factor.SpendBackup(st, *en.Backup, 1, now) != otp.Right {
						t.Errorf("%s: a code that is new is not good", name)
					}
				})
			}
			if err := between(s); err != nil {
				t.Fatal(err)
			}
			in.Secret = []byte(secret)
			if _, err := s.TakeOver(t.Context(), alice, in, "root"); err != nil {
				t.Fatal(err)
			}
			en, st := records(t, s)
			if left := factor.BackupLeft(st, *en.Backup, now); left != 1 {
				t.Errorf("%s: %d codes are left", name, left)
			}
			if factor.SpendBackup(&st, *en.Backup, 1, now) != otp.Spent || factor.SpendBackup(&st, *en.Backup, 0, now) != otp.Right {
				t.Errorf("%s: %+v", name, st)
			}
		}
	}
}

// Records of a former account of the same name are nobody's.
func TestTakeOverForANewAccount(t *testing.T) {
	s, in := newService(t), google()
	takeOver(t, s, in, wire.ImportedNew, wire.ImportedNew)
	other := mfa.Identity{Name: "alice", UID: 2000}
	out, err := s.TakeOver(t.Context(), other, in, "root")
	if en, _ := records(t, s); err != nil || out.App != wire.ImportedNew || en.UID != 2000 {
		t.Errorf("%+v, %v, uid %d", out, err, en.UID)
	}
}

func TestTakeOverRefuses(t *testing.T) {
	s := newService(t)
	for name, spoil := range map[string]func(*Takeover){
		"source":  func(in *Takeover) { in.Source = "duo" },
		"short":   func(in *Takeover) { in.Secret = []byte("123456789") },
		"digits":  func(in *Takeover) { in.Params.Digits = 5 },
		"period":  func(in *Takeover) { in.Params.Period = 0 },
		"minus":   func(in *Takeover) { in.LastStep = -1 },
		"future":  func(in *Takeover) { in.LastStep += 121 },
		"letters": func(in *Takeover) { in.Codes = []string{"1234567a"} },
		"many":    func(in *Takeover) { in.Codes = make([]string, 101) },
	} {
		in := google()
		spoil(&in)
		if out, err := s.TakeOver(t.Context(), alice, in, "root"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if keys, err := s.Accounts.Records().S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("left %q, %v", keys, err)
	}
}
