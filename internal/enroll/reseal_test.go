package enroll

import (
	"os"
	"path/filepath"
	"testing"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/wire"
)

// remember gives alice a session that was proven by what she has.
func remember(t *testing.T, s *Service) {
	t.Helper()
	en, _ := records(t, s)
	setState(t, s, func(st *mfa.State) {
		st.Sessions = []mfa.Session{{ID: "good", Enrollment: en.Fingerprint()}, {ID: "dead", Enrollment: "of former days"}}
	})
}

// A new key changes how secrets are stored, and nothing for anybody.
func TestResealKeepsSessions(t *testing.T) {
	s := newService(t)
	path := filepath.Join(t.TempDir(), "key")
	key, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Accounts = account.New(account.Config{}, account.Deps{Records: s.Accounts.Records(), Key: key, Audit: s.Audit, Log: s.Log, Now: s.Now})
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	remember(t, s)
	was, _ := records(t, s)
	if err := key.Rotate(path); err != nil {
		t.Fatal(err)
	}
	err = s.Accounts.Reseal(t.Context(), func(int) {}, func(_ string, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	en, st := records(t, s)
	newest, err := seal.LoadFor(path, os.Geteuid(), "")
	if err == nil {
		err = newest.Forget(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if secret, err := account.OpenTOTPWith(newest, alice, en.TOTP.Secret); err != nil || string(secret) != string(google().Secret) {
		t.Errorf("secret %q, %v", secret, err)
	}
	if en.TOTP.Secret == was.TOTP.Secret || len(st.Sessions) != 2 || st.Sessions[0].Enrollment != en.Fingerprint() ||
		st.Sessions[1].Enrollment != "of former days" {
		t.Errorf("sessions %+v of %s", st.Sessions, en.Fingerprint())
	}
}

// A proof counts no more once the enrollment has become another.
func TestTakeOverAndRestoreEndSessions(t *testing.T) {
	s, in := newService(t), google()
	takeOver(t, s, in, wire.ImportedNew, wire.ImportedNew)
	b := backup(t, s)
	remember(t, s)
	in.Secret, in.Replace = []byte("another-secret-of-hers"), true
	takeOver(t, s, in, wire.ImportedReplaced, wire.ImportedReplaced)
	if _, st := records(t, s); len(st.Sessions) != 0 {
		t.Errorf("after another app: %+v", st.Sessions)
	}
	remember(t, s)
	b.restore(t, s, wire.RestoredReplaced)
	if _, st := records(t, s); len(st.Sessions) != 0 {
		t.Errorf("after a restore: %+v", st.Sessions)
	}
}
