package enroll

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// textOf returns the enrollment of alice as TOML.
func textOf(t *testing.T, s *Service) string {
	t.Helper()
	text, err := s.Text(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEdit(t *testing.T) {
	s := newService(t)
	if _, err := s.Text(t.Context(), alice); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("text of nobody: %v", err)
	}
	put(t, s, func(en *mfa.Enrollment) { en.Email = &mfa.Address{Address: "alice@example.com", Confirmed: now} })
	acct := s.Accounts.Records().Account(alice)
	err := acct.Update(t.Context(), func(st *mfa.State) error {
		st.Sessions = []mfa.Session{{ID: "abc", Service: "sshd"}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := textOf(t, s)

	// A text that means the same changes nothing, and ends no conversation.
	if changed, err := s.Edit(t.Context(), alice, before, "# mine\n"+before, "root"); changed || err != nil {
		t.Errorf("Edit = %v, %v", changed, err)
	}
	_, was := records(t, s)

	after := strings.ReplaceAll(before, "alice@", "other@")
	if changed, err := s.Edit(t.Context(), alice, before, after, "root"); !changed || err != nil {
		t.Fatalf("Edit = %v, %v", changed, err)
	}
	en, st := records(t, s)
	if en.Email.Address != "other@example.com" || len(st.Sessions) > 0 || st.Epoch == was.Epoch {
		t.Errorf("%+v, %d sessions, epoch %d and was %d", en.Email, len(st.Sessions), st.Epoch, was.Epoch)
	}

	// Whatever is there by now is not overwritten.
	if _, err := s.Edit(t.Context(), alice, before, strings.ReplaceAll(before, "alice@", "third@"), "root"); !errors.Is(err, ErrMeanwhile) {
		t.Errorf("an edit of what is not there any more: %v", err)
	}
	if err := s.Accounts.Records().ResetUser(t.Context(), "alice", now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Edit(t.Context(), alice, after, before, "root"); !errors.Is(err, ErrMeanwhile) {
		t.Errorf("an edit of what was cleared: %v", err)
	}
	if _, err := s.Text(t.Context(), alice); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("it is there again: %v", err)
	}
}

func TestEditedParts(t *testing.T) {
	was := mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "a@example.com"}, TOTP: &mfa.TOTPSecret{Digits: 6}}
	is := mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "b@example.com"}, Skipped: &now, TOTP: &mfa.TOTPSecret{Digits: 6}}
	if parts := editedParts(was, is); parts != "skipped, email" && parts != "email, skipped" {
		t.Errorf("edited: %q", parts)
	}
}

func TestEditRefuses(t *testing.T) {
	s := newService(t)
	put(t, s, func(en *mfa.Enrollment) { en.Email = &mfa.Address{Address: "alice@example.com", Confirmed: now} })
	before := textOf(t, s)
	bob := mfa.Identity{Name: "bob", UID: 1001}
	bobs := s.Accounts.SealTOTP(bob, []byte("12345678901234567890"))
	mine := before + fmt.Sprintf("[totp]\nsecret = %q\nalgorithm = \"SHA1\"\ndigits = 6\nperiod = \"30s\"\n",
		s.Accounts.SealTOTP(alice, []byte("12345678901234567890")))
	if changed, err := s.Edit(t.Context(), alice, before, mine, "root"); !changed || err != nil {
		t.Errorf("her own app: %v, %v", changed, err)
	}
	if changed, err := s.Edit(t.Context(), alice, textOf(t, s), before, "root"); !changed || err != nil {
		t.Errorf("and without it again: %v, %v", changed, err)
	}
	for name, after := range map[string]string{
		"another uid":   strings.ReplaceAll(before, "uid = 1000", "uid = 0"),
		"no uid":        strings.ReplaceAll(before, "uid = 1000", ""),
		"a newer build": strings.ReplaceAll(before, "version = ", "version = 9"),
		"unknown key":   before + "x = 1\n",
		"no TOML":       "= nonsense",
		"nothing":       "",
		"no address":    strings.ReplaceAll(before, "alice@", ""),
		"another's app": before + fmt.Sprintf("[totp]\nsecret = %q\nalgorithm = \"SHA1\"\ndigits = 6\nperiod = \"30s\"\n", bobs),
		"another's token": before + fmt.Sprintf("[hotp]\nsecret = %q\nalgorithm = \"SHA1\"\ndigits = 6\n",
			s.Accounts.SealHOTP(bob, []byte("12345678901234567890"))),
	} {
		if changed, err := s.Edit(t.Context(), alice, before, after, "root"); changed || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
	}
	if now := textOf(t, s); now != before {
		t.Errorf("it is %q", now)
	}
}

// A record that does not parse is replaced by one that does.
func TestEditMends(t *testing.T) {
	s := newService(t)
	put(t, s, func(en *mfa.Enrollment) { en.Email = &mfa.Address{Address: "alice@example.com", Confirmed: now} })
	good := textOf(t, s)
	broken := strings.ReplaceAll(good, "alice@example.com", "nonsense")
	err := store.Update(t.Context(), s.Accounts.Records().S, store.Users+"alice", func([]byte) ([]byte, error) { return []byte(broken), nil })
	if err != nil {
		t.Fatal(err)
	}
	if text := textOf(t, s); text != broken {
		t.Fatalf("text of a broken record: %q", text)
	}
	if changed, err := s.Edit(t.Context(), alice, broken, good, "root"); !changed || err != nil {
		t.Fatalf("Edit = %v, %v", changed, err)
	}
	if en, _ := records(t, s); en.Email.Address != "alice@example.com" {
		t.Errorf("%+v", en.Email)
	}
	// Somebody else has mended it already.
	if _, err := s.Edit(t.Context(), alice, broken, strings.ReplaceAll(good, "alice@", "a@"), "root"); !errors.Is(err, ErrMeanwhile) {
		t.Errorf("a second mend: %v", err)
	}
}
