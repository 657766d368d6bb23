package enroll

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// The conversations are tested where they are held, in package login.

var (
	now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	alice = mfa.Identity{Name: "alice", UID: 1000}
)

// taken is a carrier that takes everything.
type taken struct{}

func (taken) Send(context.Context, mfa.Message) error { return nil }

func newService(t *testing.T) *Service {
	t.Helper()
	return serviceOver(t, &storetest.Memory{}, newKey(t), 0)
}

func newKey(t *testing.T) *seal.Key {
	t.Helper()
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// serviceOver is a Service of that generation over a store that others may use too.
func serviceOver(t *testing.T, s store.Store, key *seal.Key, generation int) *Service {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	au, err := audit.Open(audit.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	records, clock := account.Records{S: s, Cache: record.NewCache()}, func() time.Time { return now }
	mail := deliver.NewQueue(taken{}, time.Minute)
	t.Cleanup(func() { mail.Close(context.Background()) })
	return &Service{
		Audit: au, Log: log, Now: clock, BackupCodes: 1,
		Accounts: account.New(account.Config{Generation: generation}, account.Deps{Records: records, Key: key, Mail: mail, Audit: au, Log: log, Now: clock}),
	}
}

func TestSetContact(t *testing.T) {
	s := newService(t)
	for _, bad := range []string{"", "alice", "Alice <alice@example.com>", "a@b, c@d", "a b@example.com", "alice@example.com\nBcc: eve@example.com"} {
		if err := s.SetContact(t.Context(), alice, mfa.Email, bad, "root"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := s.Show(t.Context(), alice); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("after bad addresses only: %v", err)
	}
	if err := s.SetContact(t.Context(), alice, mfa.Email, " alice@example.com ", "root"); err != nil {
		t.Fatal(err)
	}
	v, err := s.Show(t.Context(), alice)
	if err != nil || v.Email != "a***e@example.com" || v.EmailConfirmed != nil || v.EmailAddedBy != "root" {
		t.Errorf("view %+v, %v", v, err)
	}
}

// The same address entered again keeps its confirmation; another one has none.
func TestSetContactAgain(t *testing.T) {
	s := newService(t)
	err := s.Accounts.Records().UpdateEnrollment(t.Context(), "alice", func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com", Confirmed: now}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		address   string
		confirmed bool
	}{{"alice@example.com", true}, {"other@example.com", false}} {
		if err := s.SetContact(t.Context(), alice, mfa.Email, tc.address, "root"); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Show(t.Context(), alice); err != nil || (v.EmailConfirmed != nil) != tc.confirmed {
			t.Errorf("%s: %+v, %v", tc.address, v, err)
		}
	}
	// To another uid nothing of it belongs.
	if err := s.SetContact(t.Context(), mfa.Identity{Name: "alice", UID: 2000}, mfa.Email, "alice@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Show(t.Context(), mfa.Identity{Name: "alice", UID: 2000}); err != nil || v.EmailConfirmed != nil {
		t.Errorf("another account of the name: %+v, %v", v, err)
	}
	if _, err := s.Show(t.Context(), alice); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("the former account: %v", err)
	}
}

func TestShowState(t *testing.T) {
	s := newService(t)
	if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	until := now.Add(time.Minute)
	err := s.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		*st = mfa.State{
			UID: 1000, Failures: []time.Time{now}, LockedUntil: &until, Sends: []time.Time{now, now},
			Pending: []mfa.PendingCode{{Expires: until}, {Expires: now}},
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Show(t.Context(), alice)
	if err != nil || v.Failures != 1 || !v.Locked || !v.LockedUntil.Equal(until) || v.CodesSent != 2 || v.PendingCodes != 1 {
		t.Errorf("view %+v, %v", v, err)
	}
}

func TestResetIsOneUsers(t *testing.T) {
	s := newService(t)
	bob := mfa.Identity{Name: "bob", UID: 1001}
	for _, id := range []mfa.Identity{alice, bob} {
		if err := s.SetContact(t.Context(), id, mfa.Email, id.Name+"@example.com", "root"); err != nil {
			t.Fatal(err)
		}
		err := s.Accounts.Records().UpdateState(t.Context(), id.Name, func(st *mfa.State) error { st.UID, st.LockedHard = id.UID, true; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if was, err := s.Reset(t.Context(), "alice", "root"); err != nil || !was {
		t.Fatalf("%v %v", was, err)
	}
	keys, err := s.Accounts.Records().S.Keys(t.Context(), "")
	if err != nil || strings.Join(keys, " ") != "state/alice state/bob users/bob" {
		t.Errorf("left: %q %v", keys, err)
	}
	if was, err := s.Reset(t.Context(), "alice", "root"); err != nil || was {
		t.Errorf("again: %v %v", was, err)
	}
}

// A record that does not parse can still be reset: that is how it is mended.
func TestResetOfABrokenRecord(t *testing.T) {
	s := newService(t)
	if _, err := s.Accounts.Records().S.Put(t.Context(), store.Item{Key: "users/alice", Value: []byte("nonsense")}); err != nil {
		t.Fatal(err)
	}
	if was, err := s.Reset(t.Context(), "alice", "root"); err != nil || !was {
		t.Fatalf("%v %v", was, err)
	}
	if _, err := s.Show(t.Context(), alice); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("after the reset: %v", err)
	}
}

func TestNewBackupCodesNeedAMethod(t *testing.T) {
	s := newService(t)
	c := s.Accounts.ByAdministrator(alice)
	if _, err := s.NewBackupCodes(t.Context(), c); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("with nothing: %v", err)
	}
	if err := s.Prefer(t.Context(), c, mfa.Email); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("prefer with nothing: %v", err)
	}
	if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	if codes, err := s.NewBackupCodes(t.Context(), c); err != nil || len(codes) != 1 {
		t.Errorf("%d codes, %v", len(codes), err)
	}
	if err := s.Prefer(t.Context(), c, mfa.TOTP); !errors.Is(err, ErrInvalid) {
		t.Errorf("prefer what is not set up: %v", err)
	}
	if err := s.Prefer(t.Context(), c, mfa.Backup); err != nil {
		t.Errorf("prefer what is: %v", err)
	}
}
