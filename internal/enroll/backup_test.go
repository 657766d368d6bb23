package enroll

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/store/storetest"
	"mfa/internal/wire"
)

// A keptBackup is one in memory.
type keptBackup struct {
	head  wire.BackupHeader
	users map[string]wire.Saved
}

func backup(t *testing.T, s *Service) keptBackup {
	t.Helper()
	b := keptBackup{users: map[string]wire.Saved{}}
	err := s.Backup(t.Context(), func(int) error { return nil },
		func(h wire.BackupHeader) error { b.head = h; return nil },
		func(u wire.Saved) error { b.users[u.User] = u; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// restore ends the test unless alice is restored with that result.
func (b keptBackup) restore(t *testing.T, s *Service, want string) {
	t.Helper()
	for _, dry := range []bool{true, false} {
		got, err := s.Restore(t.Context(), &alice, b.head, b.users["alice"], dry, "root")
		if err != nil || got != want {
			t.Fatalf("Restore (dry %v) = %q, %v; want %q", dry, got, err, want)
		}
	}
}

func setState(t *testing.T, s *Service, set func(st *mfa.State)) {
	t.Helper()
	if err := s.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error { set(st); return nil }); err != nil {
		t.Fatal(err)
	}
}

// On another machine, with another key, all is as it was.
func TestRestoreElsewhere(t *testing.T) {
	s, elsewhere := newService(t), newService(t)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	setState(t, s, func(st *mfa.State) { st.BackupID, st.BackupUsed = "", nil })
	en, _ := records(t, s)
	setState(t, s, func(st *mfa.State) {
		st.BackupID, st.BackupUsed, st.TOTPStep = en.Backup.ID, []int{1}, st.TOTPStep+3
		st.Failures, st.LockedHard = []time.Time{now}, true
	})
	_, was := records(t, s)
	backup(t, s).restore(t, elsewhere, wire.RestoredNew)
	en, st := records(t, elsewhere)
	if secret, err := elsewhere.Accounts.OpenTOTP(alice, en.TOTP.Secret); err != nil || string(secret) != string(google().Secret) {
		t.Errorf("secret %q, %v", secret, err)
	}
	if st.TOTPStep != was.TOTPStep || !slices.Equal(st.BackupUsed, []int{1}) || !st.LockedHard || len(st.Failures) != 1 {
		t.Errorf("state %+v, want %+v", st, was)
	}
	backup(t, s).restore(t, elsewhere, wire.RestoredUnchanged)
}

// The newest set of codes is good on another machine, whatever was replaced or reset
// before it was made.
func TestRestoreOfANewerSetElsewhere(t *testing.T) {
	for name, before := range map[string]func(s *Service) error{
		"first": func(*Service) error { return nil },
		"replaced": func(s *Service) error {
			_, err := s.NewBackupCodes(t.Context(), s.Accounts.ByAdministrator(alice))
			return err
		},
		"reset": func(s *Service) error {
			_, err := s.Reset(t.Context(), "alice", "root")
			return errors.Join(err, s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"))
		},
	} {
		s, elsewhere := newService(t), newService(t)
		takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
		if err := before(s); err != nil {
			t.Fatal(err)
		}
		if _, err := s.NewBackupCodes(t.Context(), s.Accounts.ByAdministrator(alice)); err != nil {
			t.Fatal(err)
		}
		backup(t, s).restore(t, elsewhere, wire.RestoredNew)
		if void, err := elsewhere.BackupVoid(t.Context(), "alice"); err != nil || void {
			t.Errorf("%s: void %v, %v", name, void, err)
		}
	}
}

// A set that was given up does not come back, on the machine where it was.
func TestRestoreOfASetThatWasGivenUp(t *testing.T) {
	s := newService(t)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	b := backup(t, s)
	if err := s.OptOut(t.Context(), s.Accounts.ByAdministrator(alice)); err != nil {
		t.Fatal(err)
	}
	if void, err := s.BackupVoid(t.Context(), "alice"); err != nil || void {
		t.Errorf("no codes: void %v, %v", void, err)
	}
	b.restore(t, s, wire.RestoredReplaced)
	if void, err := s.BackupVoid(t.Context(), "alice"); err != nil || !void {
		t.Errorf("void %v, %v", void, err)
	}
}

// Whatever happened since the backup has happened.
func TestRestoreRewindsNothing(t *testing.T) {
	s := newService(t)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	en, _ := records(t, s)
	soon, later := now.Add(time.Minute), now.Add(time.Hour)
	setState(t, s, func(st *mfa.State) {
		st.Failures, st.LockedUntil = []time.Time{now.Add(-time.Minute)}, &soon
		st.BackupID, st.BackupUsed = en.Backup.ID, []int{0}
		st.EnrollSince, st.MustChangePassword = &now, true
		st.MethodFailures = map[mfa.Method]int{mfa.TOTP: 7, mfa.Email: 1}
	})
	b := backup(t, s)
	setState(t, s, func(st *mfa.State) {
		st.Failures, st.LockedUntil = []time.Time{now}, &later
		st.BackupUsed, st.TOTPStep = []int{1}, st.TOTPStep+7
		st.Pending = []mfa.PendingCode{{Origin: "x"}}
		st.Sends, st.EnrollSince = []time.Time{now}, &later
		st.MethodFailures, st.MustChangePassword = map[mfa.Method]int{mfa.TOTP: 3, mfa.Email: 2}, false
	})
	_, before := records(t, s)
	b.restore(t, s, wire.RestoredUnchanged)
	_, after := records(t, s)
	want := before
	want.Epoch++
	want.Failures = []time.Time{now.Add(-time.Minute), now}
	want.BackupUsed = []int{0, 1}
	want.EnrollSince, want.MustChangePassword = &now, true
	want.MethodFailures = map[mfa.Method]int{mfa.TOTP: 7, mfa.Email: 2}
	if !reflect.DeepEqual(after, want) {
		t.Errorf("state\n%+v\nwant\n%+v", after, want)
	}

	// An app that was replaced comes back, its codes up to now used; a set of
	// backup codes that was replaced does not.
	in := google()
	in.Secret, in.LastStep, in.Replace = []byte("another-secret-of-hers"), 0, true
	takeOver(t, s, in, wire.ImportedReplaced, wire.ImportedReplaced)
	newer, _ := records(t, s)
	setState(t, s, func(st *mfa.State) { st.TOTPStep, st.BackupID, st.BackupUsed = 0, newer.Backup.ID, []int{1} })
	hour := now.Add(time.Hour)
	s.Now = func() time.Time { return hour }
	b.restore(t, s, wire.RestoredReplaced)
	en, st := records(t, s)
	if secret, err := s.Accounts.OpenTOTP(alice, en.TOTP.Secret); err != nil || string(secret) != string(google().Secret) {
		t.Errorf("secret %q, %v", secret, err)
	}
	if en.Backup.ID != newer.Backup.ID || st.BackupID != newer.Backup.ID || !slices.Equal(st.BackupUsed, []int{1}) {
		t.Errorf("set %s, used %v of %s; want set %s", en.Backup.ID, st.BackupUsed, st.BackupID, newer.Backup.ID)
	}
	if step := otp.Step(hour, 30*time.Second); st.TOTPStep < step {
		t.Errorf("used step %d, want %d or more", st.TOTPStep, step)
	}

	// After a reset no backup code counts: which were used between backup and reset is
	// known no more. The app's count again when those of the reset are over.
	if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
		t.Fatal(err)
	}
	b.restore(t, s, wire.RestoredNew)
	en, st = records(t, s)
	if st.Since == nil || !st.Since.Equal(hour) || !factor.Forgotten(st, *en.Backup, hour.Add(time.Hour)) || st.Pending != nil {
		t.Errorf("state %+v", st)
	}
	if void, err := s.BackupVoid(t.Context(), "alice"); err != nil || !void {
		t.Errorf("void %v, %v", void, err)
	}
	if v, err := s.Show(t.Context(), alice); err != nil || !v.BackupVoid || *v.BackupLeft != 0 {
		t.Errorf("shown %+v, %v", v, err)
	}
	codes, err := s.NewBackupCodes(t.Context(), s.Accounts.ByAdministrator(alice))
	if err != nil || len(codes) == 0 {
		t.Fatal(err)
	}
	if void, err := s.BackupVoid(t.Context(), "alice"); err != nil || void {
		t.Errorf("new codes at once: void %v, %v", void, err)
	}
}

// Every part of a State is either brought together by restoration.state or on
// purpose left as it is. Decide that for a new one, and write it down here.
func TestRestoreKnowsAllOfState(t *testing.T) {
	merged := []string{
		"Failures", "LockedUntil", "LockedHard", "TOTPStep", "BackupID", "BackupUsed", "EnrollSince",
		"LockedBy", "LockedFor", "MethodFailures", "Apart", "MustChangePassword", "Since", "Epoch", "BackupSince", "SpentForeign", "Tokens", "TokensSince",
	}
	left := []string{"UID", "Sends", "PlaceSends", "Pending", "Ended", "Drift", "Enrolling", "Invited", "Sessions", "Recovery", "LockMails", "Seen", "Told", "Contacts", "ShelfTries", "Offline", "Merged"}
	for field := range reflect.TypeFor[mfa.State]().Fields() {
		if !slices.Contains(merged, field.Name) && !slices.Contains(left, field.Name) {
			t.Errorf("nobody decided what a restore does with State.%s", field.Name)
		}
	}
}

func TestRestoreOfWhoHadToEnrollAnew(t *testing.T) {
	memory, key := &storetest.Memory{}, newKey(t)
	takeOver(t, serviceOver(t, memory, key, 0), google(), wire.ImportedNew, wire.ImportedNew)
	s := serviceOver(t, memory, key, 2)
	b := backup(t, s)
	b.restore(t, s, wire.RestoredOutdated)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	b = backup(t, s)
	elsewhere := newService(t) // where policy was never off
	b.restore(t, elsewhere, wire.RestoredNew)
	if en, _ := records(t, elsewhere); en.Generation != 0 {
		t.Errorf("generation %d would outlive the next two times that everybody enrolls anew", en.Generation)
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := newService(t)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	b := backup(t, s)
	for name, spoil := range map[string]func(h *wire.BackupHeader, u *wire.Saved, id *mfa.Identity){
		"format":   func(h *wire.BackupHeader, _ *wire.Saved, _ *mfa.Identity) { h.Format = "tar" },
		"version":  func(h *wire.BackupHeader, _ *wire.Saved, _ *mfa.Identity) { h.Version = 2 },
		"key":      func(h *wire.BackupHeader, _ *wire.Saved, _ *mfa.Identity) { h.Key = "00" },
		"record":   func(_ *wire.BackupHeader, u *wire.Saved, _ *mfa.Identity) { u.Enrollment = "version = 1" },
		"state":    func(_ *wire.BackupHeader, u *wire.Saved, _ *mfa.Identity) { u.State = []byte(`{"later":1}`) },
		"problem":  func(_ *wire.BackupHeader, u *wire.Saved, _ *mfa.Identity) { u.Problem = "could not be read" },
		"identity": func(_ *wire.BackupHeader, _ *wire.Saved, id *mfa.Identity) { id.UID = 2000 },
	} {
		elsewhere := newService(t)
		head, user, id := b.head, b.users["alice"], alice
		spoil(&head, &user, &id)
		if result, err := elsewhere.Restore(t.Context(), &id, head, user, false, "root"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %q, %v", name, result, err)
		}
		head.Key = elsewhere.Accounts.KeyText()
		if keys, err := elsewhere.Accounts.Records().S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
			t.Errorf("%s: left %q, %v", name, keys, err)
		}
	}
	head := b.head
	head.Key = newService(t).Accounts.KeyText()
	elsewhere := newService(t)
	if result, err := elsewhere.Restore(t.Context(), &alice, head, b.users["alice"], false, "root"); err == nil {
		t.Errorf("another key: %q", result)
	}
}

// An account that is gone gets its records back, for when it is made again.
func TestRestoreOfNoAccount(t *testing.T) {
	s, elsewhere := newService(t), newService(t)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	b := backup(t, s)
	result, err := elsewhere.Restore(t.Context(), nil, b.head, b.users["alice"], false, "root")
	if en, _ := records(t, elsewhere); err != nil || result != wire.RestoredNew || en.UID != alice.UID {
		t.Errorf("%q, %v, uid %d", result, err, en.UID)
	}
}
