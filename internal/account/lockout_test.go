package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

const period = 30 * time.Second

// strict locks for ten minutes at the third wrong code within fifteen, and tells.
func strict() account.Config {
	return account.Config{
		Lockout: account.LockoutConfig{
			Failures: 3, Window: mfa.Duration(15 * time.Minute), Duration: mfa.Duration(10 * time.Minute), Recovery: true, Notify: true,
		},
		Lifetime: mfa.Duration(10 * time.Minute), Period: mfa.Duration(period), Skew: 1,
	}
}

// reachable is an enrollment whose owner can be told by mail.
func reachable() mfa.Enrollment {
	return mfa.Enrollment{Email: &mfa.Address{Address: "alice@example.com", Confirmed: confirmed}}
}

// The code that uses up the last try locks, and only those of the window count.
func TestCountWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		duration time.Duration
		waits    []time.Duration // before each wrong code
		left     []int           // after it
		told     string          // of the lock, at its end
	}{
		"in a row":               {10 * time.Minute, []time.Duration{0, 0, 0}, []int{2, 1, 0}, "locked for 10 minutes, after too many wrong codes"},
		"within the window":      {10 * time.Minute, []time.Duration{0, 14 * time.Minute, 59 * time.Second}, []int{2, 1, 0}, "locked for 10 minutes"},
		"the window went on":     {10 * time.Minute, []time.Duration{0, 14 * time.Minute, time.Minute, 0}, []int{2, 1, 1, 0}, "locked for 10 minutes"},
		"none counts any more":   {10 * time.Minute, []time.Duration{0, 0, 15 * time.Minute}, []int{2, 1, 2}, ""},
		"anew after the lock":    {10 * time.Minute, []time.Duration{0, 0, 0, 10 * time.Minute}, []int{2, 1, 0, 2}, ""},
		"until somebody unlocks": {0, []time.Duration{0, 0, 0}, []int{2, 1, 0}, "locked until an administrator unlocks it"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := strict()
			cfg.Lockout.Duration = mfa.Duration(tc.duration)
			w := newHarness(t, cfg)
			w.has(mfa.Enrollment{}, mfa.State{Seen: []string{"203.0.113.7"}})
			u := w.user()
			var last account.Wrong
			for i, wait := range tc.waits {
				w.now = w.now.Add(wait)
				if last = w.wrong(u, 1); last.Left != tc.left[i] {
					t.Errorf("%d left after %d wrong codes, not %d", last.Left, i+1, tc.left[i])
				}
			}
			told, locked := u.Locked(w.state())
			if locked != (tc.told != "") || !strings.Contains(told, tc.told) || last.LockText != told {
				t.Errorf("locked %v, %q; the last code told %q", locked, told, last.LockText)
			}
			if failed, locks := len(w.audited(audit.Failed)), len(w.audited(audit.Locked)); failed != len(tc.waits) || locks > 1 || locked && locks != 1 {
				t.Errorf("%d lines of wrong codes, %d of locks", failed, locks)
			}
		})
	}
}

// A lock ends what others are about to prove, in this very moment, and no conversation of
// somebody else.
func TestLockEndsConversationsElsewhere(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{UID: alice.UID, Seen: []string{"203.0.113.7"}})
	own, other := w.user(), w.user()
	bob := w.User(w.Records().Account(mfa.Identity{Name: "bob", UID: 1001}), home)
	ctxs := map[*account.User]context.Context{}
	for _, u := range []*account.User{own, other, bob} {
		ctx, done := u.Begin(t.Context())
		defer done()
		ctxs[u] = ctx
	}
	last := w.wrong(own, 3)
	if ctxs[own].Err() != nil || ctxs[bob].Err() != nil {
		t.Errorf("ended: its own %v, another's %v", ctxs[own].Err(), ctxs[bob].Err())
	}
	ended, ok := errors.AsType[mfa.Ended](context.Cause(ctxs[other]))
	if !ok || ended.Outcome != mfa.Exhausted || ended.Text != last.LockText {
		t.Errorf("elsewhere: %v", context.Cause(ctxs[other]))
	}
	if ev := w.event(audit.Locked); ev.User != "alice" || *ev.UID != alice.UID || ev.Address != "203.0.113.7" || ev.Method != "totp" {
		t.Errorf("audited: %+v", ev)
	}
}

// A hundred wrong codes in a row disable the method they are of, and no other.
func TestMethodIsDisabled(t *testing.T) {
	cfg := strict()
	cfg.Lockout.Failures = 2 * mfa.MaxMethodFailures
	w := newHarness(t, cfg)
	w.has(mfa.Enrollment{}, mfa.State{MethodFailures: map[mfa.Method]int{mfa.Email: 7}})
	u := w.user()
	if last := w.wrong(u, mfa.MaxMethodFailures-1); last.Disabled || len(w.audited(audit.Disabled)) != 0 {
		t.Errorf("disabled by the code before: %+v", last)
	}
	if last := w.wrong(u, 1); !last.Disabled || last.Left == 0 {
		t.Errorf("not by the last: %+v", last)
	}
	if got := u.Enabled(w.state(), []mfa.Method{mfa.TOTP, mfa.Email}); !slices.Equal(got, []mfa.Method{mfa.Email}) {
		t.Errorf("proves still: %q", got)
	}
	if ev := w.event(audit.Disabled); ev.Method != "totp" || ev.User != "alice" {
		t.Errorf("audited: %+v", ev)
	}
}

// A right code makes good the wrong ones of its own method, and of no other; one that
// proves what is being set up makes good only the tries.
func TestCountRight(t *testing.T) {
	for name, tc := range map[string]struct {
		method mfa.Method
		setup  bool
		want   map[mfa.Method]int
	}{
		"of the app":   {mfa.TOTP, false, map[mfa.Method]int{mfa.Email: 5}},
		"of email":     {mfa.Email, false, map[mfa.Method]int{mfa.TOTP: 9}},
		"of a new app": {mfa.TOTP, true, map[mfa.Method]int{mfa.TOTP: 9, mfa.Email: 5}},
	} {
		w := newHarness(t, strict())
		w.has(mfa.Enrollment{}, mfa.State{
			Failures:       []time.Time{confirmed},
			MethodFailures: map[mfa.Method]int{mfa.TOTP: 9, mfa.Email: 5},
		})
		u := w.user()
		w.update(u, func(st *mfa.State) { u.CountRight(st, tc.method, tc.setup, w.now) })
		st := w.state()
		if len(st.Failures) != 0 || !slices.Equal(st.Seen, []string{"203.0.113.7"}) {
			t.Errorf("a code %s: failures %v, seen at %q", name, st.Failures, st.Seen)
		}
		for m, n := range map[mfa.Method]int{mfa.TOTP: tc.want[mfa.TOTP], mfa.Email: tc.want[mfa.Email]} {
			if st.MethodFailures[m] != n {
				t.Errorf("a code %s: %d wrong ones of %s, not %d", name, st.MethodFailures[m], m, n)
			}
		}
	}
}

// An administrator's lock stands in the place of another, ends what is under way, and no
// mail ends it.
func TestLock(t *testing.T) {
	for _, tc := range []struct {
		length time.Duration
		told   string
		reason string
	}{
		{0, "by an administrator, until one unlocks it", "until unlocked"},
		{time.Hour, "by an administrator, for 60 minutes", "for 1h"},
	} {
		w := newHarness(t, strict())
		until := confirmed.Add(time.Minute)
		w.has(reachable(), mfa.State{LockedUntil: &until, LockedFor: mfa.Duration(time.Minute), Recovery: &mfa.Recovery{Expires: confirmed.Add(time.Hour)}})
		u := w.user()
		ctx, done := u.Begin(t.Context())
		defer done()
		end, err := w.Lock(t.Context(), alice, tc.length, "root")
		if err != nil || (end == nil) != (tc.length == 0) || end != nil && !end.Equal(confirmed.Add(tc.length)) {
			t.Errorf("until %v, %v", end, err)
		}
		st := w.state()
		if told, locked := u.Locked(st); !locked || !strings.Contains(told, tc.told) || st.LockedBy != "root" || st.Recovery != nil || u.Recoverable(st) {
			t.Errorf("locked %v, %q: %+v", locked, told, st)
		}
		if ended, ok := errors.AsType[mfa.Ended](context.Cause(ctx)); !ok || !strings.Contains(ended.Text, "by an administrator") {
			t.Errorf("goes on: %v", context.Cause(ctx))
		}
		if ev := w.event(audit.Locked); ev.Actor != "root" || ev.Reason != tc.reason || *ev.UID != alice.UID {
			t.Errorf("audited: %+v", ev)
		}
	}
}

// An administrator's unlock ends whatever keeps a user out, and says what it was.
func TestUnlock(t *testing.T) {
	until, over := confirmed.Add(time.Minute), confirmed.Add(-time.Minute)
	year := confirmed.AddDate(1, 0, 0)
	for name, tc := range map[string]struct {
		is      mfa.State
		locked  bool
		audited bool
	}{
		"nothing":            {mfa.State{Sends: []time.Time{confirmed}}, false, false},
		"locked":             {mfa.State{LockedUntil: &until, LockMails: []time.Time{confirmed}}, true, true},
		"locked hard":        {mfa.State{LockedHard: true, LockedBy: "root"}, true, true},
		"locked apart":       {mfa.State{Apart: &mfa.FailureCounts{LockedUntil: &until}}, true, true},
		"the lock is over":   {mfa.State{LockedUntil: &over}, false, true},
		"wrong codes":        {mfa.State{Failures: []time.Time{confirmed}}, false, true},
		"wrong codes, apart": {mfa.State{Apart: &mfa.FailureCounts{Failures: []time.Time{confirmed}}}, false, true},
		"a code of next year": {
			mfa.State{TOTPStep: otp.Step(year, period)}, false, true,
		},
		"sendings of next year": {mfa.State{Sends: []time.Time{year}}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, strict())
			w.has(mfa.Enrollment{TOTP: &mfa.TOTPSecret{Period: mfa.Duration(period)}}, tc.is)
			was, err := w.Unlock(t.Context(), "alice", "root")
			if err != nil || was != tc.locked {
				t.Errorf("was locked %v, %v", was, err)
			}
			st := w.state()
			if _, _, locked := st.Locked(w.now); locked || len(st.Failures) > 0 || st.Apart != nil && (len(st.Apart.Failures) > 0 || st.Apart.LockedUntil != nil) || len(st.LockMails) > 0 {
				t.Errorf("still against them: %+v", st)
			}
			if ahead := w.Ahead(st, mfa.Enrollment{TOTP: &mfa.TOTPSecret{Period: mfa.Duration(period)}}, w.now); len(ahead) > 0 {
				t.Errorf("still ahead: %q", ahead)
			}
			lines := w.audited(audit.Unlocked)
			if (len(lines) == 1) != tc.audited || tc.audited && w.event(audit.Unlocked).Actor != "root" {
				t.Errorf("audited: %q", lines)
			}
		})
	}
}

// A record that cannot be read begins anew, and what could have been used before counts
// as used; an enrollment that cannot be read stands in no way of that.
func TestUnlockOfARecordThatCannotBeRead(t *testing.T) {
	for _, broken := range []bool{false, true} {
		w := newHarness(t, strict())
		w.has(reachable(), mfa.State{TOTPStep: 1})
		put(t, w.Records(), store.States+"alice", "{")
		if broken {
			put(t, w.Records(), store.Users+"alice", "[")
		}
		was, err := w.Unlock(t.Context(), "alice", "root")
		if err != nil || was {
			t.Errorf("was locked %v, %v", was, err)
		}
		st, err := w.Records().State(t.Context(), "alice")
		if err != nil || st.Since == nil || !st.Since.Equal(w.now) || !broken && st.UID != alice.UID {
			t.Errorf("became %+v, %v", st, err)
		}
		if ev := w.event(audit.Unlocked); !strings.Contains(ev.Reason, "begins anew") {
			t.Errorf("audited: %+v", ev)
		}
	}
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{LockedHard: true})
	w.store.Fail(errors.New("the disk is on fire"))
	if was, err := w.Unlock(t.Context(), "alice", "root"); err == nil || was {
		t.Errorf("with a store out of reach: %v, %v", was, err)
	}
}

// All that a clock which ran ahead has left is ended by name; what is of this time stands.
func TestSettle(t *testing.T) {
	year := confirmed.AddDate(1, 0, 0)
	until := confirmed.Add(time.Minute)
	app := mfa.Enrollment{TOTP: &mfa.TOTPSecret{Period: mfa.Duration(period)}}
	for name, tc := range map[string]struct {
		is   mfa.State
		want []string
	}{
		"nothing":           {mfa.State{LockedUntil: &until, LockedFor: mfa.Duration(10 * time.Minute), Failures: []time.Time{confirmed}}, nil},
		"wrong codes":       {mfa.State{Failures: []time.Time{confirmed, year}}, []string{"wrong codes"}},
		"a lock":            {mfa.State{LockedUntil: &year, LockedFor: mfa.Duration(10 * time.Minute)}, []string{"lock"}},
		"an app":            {mfa.State{TOTPStep: otp.Step(year, period)}, []string{"authenticator app"}},
		"remembered logins": {mfa.State{Sessions: []mfa.Session{{ID: "one", Created: year}, {ID: "two", Created: confirmed}}}, []string{"remembered logins"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, strict())
			w.has(app, tc.is)
			before := w.state()
			ended, err := w.EndFutureTimes(t.Context(), "alice", "root")
			if err != nil || !slices.Equal(ended, tc.want) {
				t.Errorf("ended %q, %v", ended, err)
			}
			st := w.state()
			if left := w.Ahead(st, app, w.now); len(left) > 0 || len(before.Failures) > 0 && len(st.Failures) != 1 || len(before.Sessions) > 0 && (len(st.Sessions) != 1 || st.Sessions[0].ID != "two") {
				t.Errorf("became %+v, ahead %q", st, left)
			}
			if _, _, locked := st.Locked(w.now); locked != (before.LockedUntil != nil) {
				t.Errorf("locked %v", locked)
			}
			if lines := w.audited(audit.Settled); len(lines) != min(1, len(tc.want)) {
				t.Errorf("audited: %q", lines)
			}
		})
	}
}

// All that is believed of a lock of next year is stored at the first look, or its end would
// move on with every one.
func TestAccountSettle(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{LockedUntil: new(confirmed.AddDate(1, 0, 0)), LockedFor: mfa.Duration(10 * time.Minute)})
	records := w.Records()
	records.BoundTimes = func(st *mfa.State) { st.BoundTimes(w.now, w.Config().Lengths()) }
	for range 2 {
		if err := records.Account(alice).StoreBoundTimes(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
	}
	if st := w.state(); !st.LockedUntil.Equal(confirmed.Add(10 * time.Minute)) {
		t.Errorf("locked until %v", st.LockedUntil)
	}
	// The state of another account of the name is left alone.
	former := stored(t, records, store.States+"alice")
	w.now = confirmed.AddDate(-1, 0, 0)
	if err := records.Account(mfa.Identity{Name: "alice", UID: 7}).StoreBoundTimes(t.Context()); err != nil || stored(t, records, store.States+"alice") != former {
		t.Errorf("another's became %s, %v", stored(t, records, store.States+"alice"), err)
	}
	var st mfa.State
	if err := json.Unmarshal([]byte(former), &st); err != nil || st.UID != alice.UID {
		t.Errorf("%+v, %v", st, err)
	}
}
