package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// apart is alice as a program of hers asks for her.
func (w *harness) apart() *account.User {
	w.t.Helper()
	u := w.from(mfa.Origin{Service: "xscreensaver", Address: "local", UID: alice.UID})
	u.CountApart()
	return u
}

// Code that runs under a user's uid guesses as often as it likes: it locks itself out, by
// the limits of all, and never the logins that root asks for.
func TestCountedApart(t *testing.T) {
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{})
	root, own := w.user(), w.apart()
	ctx, done := root.Begin(t.Context())
	defer done()
	for i, left := range []int{2, 1, 0} {
		if last := w.wrong(own, 1); last.Left != left {
			t.Errorf("%d left after %d wrong codes", last.Left, i+1)
		}
	}
	st := w.state()
	if told, locked := own.Locked(st); !locked || !strings.Contains(told, "locked here for 10 minutes") {
		t.Errorf("locked apart: %v, %q", locked, told)
	}
	if told, locked := root.Locked(st); locked || told != "" || len(st.Failures) > 0 || st.LockedUntil != nil || len(st.MethodFailures) > 0 {
		t.Errorf("locked for root: %v, %q, %+v", locked, told, st)
	}
	if ctx.Err() != nil || root.Unchanged(t.Context()) != nil {
		t.Errorf("a login that root asked for has ended: %v, %v", ctx.Err(), root.Unchanged(t.Context()))
	}
	for _, name := range []string{audit.Failed, audit.Locked} {
		if ev := w.event(name); !strings.Contains(ev.Reason, "counted apart") {
			t.Errorf("audited: %+v", ev)
		}
	}
	if own.Recoverable(st) {
		t.Error("a recovery code is asked for, for a lock that none was sent for")
	}
	w.now = w.now.Add(10 * time.Minute)
	if _, locked := own.Locked(w.state()); locked {
		t.Error("locked apart for longer than others are")
	}
}

// The user is told of a lock apart once a day, without a code; where nobody is to be told,
// they are not.
func TestLockedApartIsTold(t *testing.T) {
	for _, notify := range []bool{true, false} {
		cfg := strict()
		cfg.Lockout.Notify = notify
		w := newHarness(t, cfg)
		w.has(reachable(), mfa.State{})
		own := w.apart()
		want := 0
		for day := range 2 {
			for range 2 {
				w.wrong(own, 3)
			}
			w.now = confirmed.AddDate(0, 0, day+1)
			if notify {
				want++
			}
		}
		mails := w.mail()
		if len(mails) != want {
			t.Fatalf("%d mails in two days, not %d", len(mails), want)
		}
		for _, m := range mails {
			if !strings.Contains(m.Text, "and is locked out for now.\n") || !strings.Contains(m.Text, "Your logins are not locked.") ||
				strings.Contains(m.Text, "Recovery code") || m.Subject != "Wrong codes on host" {
				t.Errorf("told: %q", m)
			}
		}
		if st := w.state(); st.Recovery != nil {
			t.Errorf("there is a code: %+v", st.Recovery)
		}
	}
}

// A lock until somebody unlocks is told as one.
func TestLockedApartUntilUnlocked(t *testing.T) {
	cfg := strict()
	cfg.Lockout.Duration = 0
	w := newHarness(t, cfg)
	w.has(mfa.Enrollment{}, mfa.State{})
	own := w.apart()
	w.wrong(own, 3)
	w.now = w.now.AddDate(1, 0, 0)
	if told, locked := own.Locked(w.state()); !locked || !strings.Contains(told, "locked here until an administrator unlocks it") {
		t.Errorf("%v, %q", locked, told)
	}
	if was, err := w.Unlock(t.Context(), "alice", "root"); !was || err != nil {
		t.Errorf("unlocked: %v, %v", was, err)
	}
	if _, locked := own.Locked(w.state()); locked {
		t.Error("locked after the unlock")
	}
}

// A lock of logins that root asks for locks the way apart too, and a right code there
// makes nothing of it good: who guesses would prove that it was the user.
func TestRightCodeApartForgivesOnlyItself(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{
		Failures: []time.Time{confirmed}, MethodFailures: map[mfa.Method]int{mfa.TOTP: 9},
		Apart: &mfa.FailureCounts{Failures: []time.Time{confirmed}, MethodFailures: map[mfa.Method]int{mfa.TOTP: 7, mfa.Email: 3}},
	})
	own := w.apart()
	w.update(own, func(st *mfa.State) { own.CountRight(st, mfa.TOTP, false, w.now) })
	st := w.state()
	if len(st.Failures) != 1 || st.MethodFailures[mfa.TOTP] != 9 || len(st.Seen) > 0 {
		t.Errorf("forgiven: %+v", st)
	}
	if st.Apart == nil || len(st.Apart.Failures) > 0 || st.Apart.MethodFailures[mfa.TOTP] != 0 || st.Apart.MethodFailures[mfa.Email] != 3 {
		t.Errorf("apart: %+v", st.Apart)
	}
	w.update(own, func(st *mfa.State) { own.CountRight(st, mfa.Email, false, w.now) })
	if st := w.state(); st.Apart != nil {
		t.Errorf("nothing is left, and it is kept: %+v", st.Apart)
	}
	if _, err := w.Lock(t.Context(), alice, 0, "root"); err != nil {
		t.Fatal(err)
	}
	if told, locked := own.Locked(w.state()); !locked || !strings.Contains(told, "by an administrator") {
		t.Errorf("not locked: %v, %q", locked, told)
	}
}

// A method that a program has disabled for itself proves in logins what it did.
func TestDisabledApart(t *testing.T) {
	cfg := strict()
	cfg.Lockout.Failures = 2 * mfa.MaxMethodFailures
	w := newHarness(t, cfg)
	w.has(mfa.Enrollment{}, mfa.State{MethodFailures: map[mfa.Method]int{mfa.Email: mfa.MaxMethodFailures}})
	root, own := w.user(), w.apart()
	if last := w.wrong(own, mfa.MaxMethodFailures); !last.Disabled {
		t.Errorf("%+v", last)
	}
	all := []mfa.Method{mfa.TOTP, mfa.Email, mfa.SMS}
	for _, tc := range []struct {
		u    *account.User
		want []mfa.Method
	}{{root, []mfa.Method{mfa.TOTP, mfa.SMS}}, {own, []mfa.Method{mfa.SMS}}} {
		if got := tc.u.Enabled(w.state(), all); !slices.Equal(got, tc.want) {
			t.Errorf("prove: %q, not %q", got, tc.want)
		}
	}
}
