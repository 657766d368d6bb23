package enroll

import (
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A method that is set up anew forgets its wrong codes; the others keep theirs.
func TestSetUpAnewForgetsWrongCodes(t *testing.T) {
	for m, setUp := range map[mfa.Method]func(*Service) error{
		mfa.Email: func(s *Service) error {
			return s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root")
		},
		mfa.Backup: func(s *Service) error {
			_, err := s.NewBackupCodes(t.Context(), s.Accounts.ByAdministrator(alice))
			return err
		},
	} {
		s := newService(t)
		if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
			t.Fatal(err)
		}
		acct := s.Accounts.Records().Account(alice)
		err := acct.Update(t.Context(), func(st *mfa.State) error {
			st.MethodFailures = map[mfa.Method]int{mfa.Email: 100, mfa.Backup: 100, mfa.TOTP: 7}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := setUp(s); err != nil {
			t.Fatal(err)
		}
		st, err := acct.State(t.Context())
		if err != nil || len(st.MethodFailures) != 2 || st.MethodFailures[m] != 0 || st.MethodFailures[mfa.TOTP] != 7 {
			t.Errorf("%s: %v %v", m, st.MethodFailures, err)
		}
	}
}

func TestShowTellsOfDisabledMethods(t *testing.T) {
	s := newService(t)
	if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	err := s.Accounts.Records().Account(alice).Update(t.Context(), func(st *mfa.State) error {
		st.MethodFailures = map[mfa.Method]int{mfa.Email: 100, mfa.TOTP: 100, mfa.Backup: 99}
		st.MustChangePassword = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Show(t.Context(), alice)
	if err != nil || len(v.Disabled) != 1 || v.Disabled[0] != mfa.Email || !v.MustChangePassword {
		t.Errorf("%+v %v", v, err)
	}
}

// An app that is taken over in the place of one which took too many wrong codes proves
// something again; so do the backup codes that come with it.
func TestTakeOverForgetsWrongCodes(t *testing.T) {
	s := newService(t)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	acct := s.Accounts.Records().Account(alice)
	err := acct.Update(t.Context(), func(st *mfa.State) error {
		st.MethodFailures = map[mfa.Method]int{mfa.TOTP: mfa.MaxMethodFailures, mfa.Backup: mfa.MaxMethodFailures, mfa.Email: 7}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in := google()
	in.Secret, in.Replace = []byte("another-secret-of-hers"), true
	takeOver(t, s, in, wire.ImportedReplaced, wire.ImportedReplaced)
	st, err := acct.State(t.Context())
	if err != nil || st.Disabled(mfa.TOTP) || st.Disabled(mfa.Backup) || st.MethodFailures[mfa.Email] != 7 {
		t.Errorf("%v %v", st.MethodFailures, err)
	}
}
