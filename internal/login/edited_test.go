package login

import (
	"testing"
	"time"

	"mfa/internal/challenge"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// putRecord puts text in the place of user's record, as an edit by hand does: nothing
// but the file tells of it.
func (d *harness) putRecord(user, text string) {
	d.t.Helper()
	err := store.Update(d.t.Context(), d.store, store.Users+user, func([]byte) ([]byte, error) {
		if text == "" {
			return nil, nil
		}
		return []byte(text), nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// A code counts only while what it was asked for is there: an edit by hand counts at
// once, also for who waits at a prompt. They are asked for what is there now.
func TestRecordEditedWhileAsked(t *testing.T) {
	edits := map[string]struct {
		edit func(d *harness)
		want mfa.Outcome
		then step
	}{
		"address": {
			func(d *harness) {
				d.enroll("bob", mfa.Enrollment{UID: 1001, Email: &mfa.Address{Address: "other@example.com"}})
			},
			mfa.NoConversation,
			step{want: "changed meanwhile, so this begins again. A code was sent to o***r@example.com", err: mfa.ErrNoConversation},
		},
		"removed": {func(d *harness) { d.putRecord("bob", "") }, mfa.NoConversation, step{want: "changed meanwhile, so this begins again. A second factor is needed", err: mfa.ErrNoConversation}},
		"uid": {
			func(d *harness) { en := d.enrollment("bob"); en.UID = 4711; d.enroll("bob", en) },
			mfa.NoConversation,
			step{want: "A second factor is needed", err: mfa.ErrNoConversation},
		},
		"emptied":    {func(d *harness) { d.enroll("bob", mfa.Enrollment{UID: 1001}) }, mfa.NoConversation, step{want: "A second factor is needed", err: mfa.ErrNoConversation}},
		"unreadable": {func(d *harness) { d.putRecord("bob", "version = 1\nuid = ") }, mfa.Unavailable, step{want: challenge.TextUnavailable}},
		"newer":      {func(d *harness) { d.putRecord("bob", "version = 99\nuid = 1001\n") }, mfa.Unavailable, step{want: challenge.TextUnavailable}},
	}
	for _, m := range []mfa.Method{mfa.Email, mfa.TOTP, mfa.Backup} {
		for name, tc := range edits {
			t.Run(string(m)+" "+name, func(t *testing.T) {
				d := newHarness(t, enrolling)
				a, backup := withApp(d)
				d.advance(time.Minute)
				en := d.enrollment("bob")
				en.Email, en.Preferred = &mfa.Address{Address: "bob@example.com"}, m
				d.enroll("bob", en)
				d.login(request("bob"), tc.want, step{"", func() string {
					code := map[mfa.Method]func() string{mfa.Email: d.code, mfa.TOTP: a.shows(), mfa.Backup: say(backup[0])}[m]()
					tc.edit(d)
					return code
				}, nil}, tc.then)
				if st := d.state("bob"); len(st.Failures) > 0 || len(st.BackupUsed) > 0 {
					t.Errorf("counted or spent: %+v", st)
				}
			})
		}
	}
}

// An app in the place of another is no reason to count a code of the first as wrong, and
// one whose codes are longer none to call it no code.
func TestAppReplacedByHandWhileAsked(t *testing.T) {
	for _, digits := range []int{6, 8} {
		d := newHarness(t, enrolling)
		a, _ := withApp(d)
		d.advance(time.Minute)
		next := d.enrollment("bob")
		next.TOTP = &mfa.TOTPSecret{Secret: d.accounts.SealTOTP(mfa.Identity{Name: "bob"}, make([]byte, 20)), Algorithm: "SHA1", Digits: digits, Period: next.TOTP.Period}
		d.login(request("bob"), mfa.NoConversation,
			step{"authenticator app", func() string { d.enroll("bob", next); return a.code(0) }, nil},
			step{want: "changed meanwhile", err: mfa.ErrNoConversation})
		if st := d.state("bob"); len(st.Failures) > 0 {
			t.Errorf("%d digits: counted", digits)
		}
	}
}

// An edit that says nothing of how to prove it is no change: which method comes first, whether a
// code arrived, and under which key a secret lies.
func TestEditThatChangesNoFactor(t *testing.T) {
	d := newHarness(t, enrolling)
	a, _ := withApp(d)
	d.advance(time.Minute)
	d.login(request("bob"), mfa.Accepted, step{"authenticator app", func() string {
		en := d.enrollment("bob")
		secret, err := d.accounts.OpenTOTP(mfa.Identity{Name: "bob"}, en.TOTP.Secret)
		if err != nil {
			t.Fatal(err)
		}
		en.Preferred, en.TOTP.Confirmed, en.TOTP.Secret = mfa.Backup, start.Add(time.Minute), d.accounts.SealTOTP(mfa.Identity{Name: "bob"}, secret)
		d.enroll("bob", en)
		return a.code(0)
	}, nil})
}
