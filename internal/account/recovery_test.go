package account_test

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
)

const noCode = "3333-3333-3333-3333" // has the shape of one

var recoveryCode = regexp.MustCompile(`Recovery code: (\S+)`)

// lockedOut is a harness in which wrong codes lock alice until somebody unlocks, and the code
// that was mailed.
func lockedOut(t *testing.T, cfg account.Config, st mfa.State) (w *harness, code string) {
	t.Helper()
	cfg.Lockout.Duration = 0
	w = newHarness(t, cfg)
	w.has(reachable(), st)
	w.wrong(w.user(), 3)
	return w, w.mailedCode()
}

// mailedCode is the one in the next mail.
func (w *harness) mailedCode() string {
	w.t.Helper()
	m := <-w.mails
	found := recoveryCode.FindStringSubmatch(m.Text)
	if found == nil || m.To != "alice@example.com" || m.Subject != "Second factor locked on host" {
		w.t.Fatalf("no code in %+v", m)
	}
	return found[1]
}

// try types a recovery code.
func (w *harness) try(u *account.User, code string) (right, void bool) {
	w.t.Helper()
	right, void, err := u.TryRecovery(w.t.Context(), code)
	if err != nil {
		w.t.Fatal(err)
	}
	return right, void
}

// The code that was mailed at a lock ends it, once, and all that a stranger who knows the
// password may have left; it says nothing of the second factor.
func TestRecoveryCode(t *testing.T) {
	cfg := strict()
	cfg.Lockout.ForcePasswordChange = true
	w, code := lockedOut(t, cfg, mfa.State{
		Sessions: []mfa.Session{{ID: "one", Expires: confirmed.Add(time.Hour)}}, Enrolling: &mfa.Enrolling{ID: "one"},
		MethodFailures: map[mfa.Method]int{mfa.TOTP: 9},
	})
	u, other := w.user(), w.user()
	ctx, done := other.Begin(t.Context())
	defer done()
	if right, void := w.try(u, strings.ToUpper(code)); !right || void {
		t.Errorf("right %v, void %v", right, void)
	}
	st := w.state()
	if _, _, locked := st.Locked(w.now); locked || st.Recovery != nil || len(st.Sessions) > 0 || st.Enrolling != nil || !st.MustChangePassword || st.MethodFailures[mfa.TOTP] != 12 || len(st.LockMails) > 0 {
		t.Errorf("became %+v", st)
	}
	if _, ok := errors.AsType[mfa.Ended](context.Cause(ctx)); !ok || !errors.Is(other.Unchanged(t.Context()), account.ErrChanged) {
		t.Errorf("another conversation goes on: %v", context.Cause(ctx))
	}
	if ev := w.event(audit.Unlocked); ev.Actor != "alice" || ev.Reason != "recovery code" || ev.Address != home.Address {
		t.Errorf("audited: %+v", ev)
	}

	// The next lock has a code of its own.
	w.wrong(w.user(), 3)
	next := w.mailedCode()
	if right, _ := w.try(w.user(), code); right || next == code {
		t.Error("good a second time")
	}
	if right, _ := w.try(w.user(), next); !right {
		t.Error("the newer one is not good")
	}
	if right, void := w.try(w.user(), noCode); !right || void {
		t.Errorf("without a lock there is nothing to be right: %v, void %v", right, void)
	}
}

// A code is good for a user's lock by wrong codes, for a day, while the configuration has it.
func TestRecoveryCodeThatEndsNothing(t *testing.T) {
	state := func(fn func(*mfa.State)) func(*harness) { return func(w *harness) { w.update(w.user(), fn) } }
	tried := func(n int) func(*harness) { return state(func(st *mfa.State) { st.Recovery.Tries = n }) }
	for name, tc := range map[string]struct {
		spoil   func(w *harness)
		code    string // empty: the right one
		void    bool
		counted int
	}{
		"wrong":             {func(*harness) {}, noCode, false, 1},
		"of no such shape":  {func(*harness) {}, "123456", false, 0},
		"expired":           {func(w *harness) { w.now = w.now.Add(24 * time.Hour) }, "", true, 0},
		"by an admin":       {state(func(st *mfa.State) { st.LockedBy = "root" }), "", true, 0},
		"another's":         {state(func(st *mfa.State) { st.Recovery.Nonce = []byte("x") }), "", false, 1},
		"tried too often":   {tried(20), "", true, 0},
		"the last that may": {tried(19), noCode, true, 1},
		"the one before":    {tried(18), noCode, false, 1},
		"none was sent":     {state(func(st *mfa.State) { st.Recovery = nil }), noCode, true, 0},
		"switched off since": {func(w *harness) {
			cfg := w.Config()
			cfg.Lockout.Recovery = false
			w.configure(cfg)
		}, "", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, code := lockedOut(t, strict(), mfa.State{})
			tc.spoil(w)
			before := w.state().Recovery
			if right, void := w.try(w.user(), cmp.Or(tc.code, code)); right || void != tc.void {
				t.Errorf("right %v, void %v", right, void)
			}
			st := w.state()
			if _, _, locked := st.Locked(w.now); !locked || before != nil && st.Recovery.Tries != before.Tries+tc.counted {
				t.Errorf("locked %v, %+v", locked, st.Recovery)
			}
			if failed, unlocked := len(w.audited(audit.RecoveryFailed)), len(w.audited(audit.Unlocked)); failed != tc.counted || unlocked != 0 {
				t.Errorf("%d lines of wrong ones, %d of unlocks", failed, unlocked)
			}
		})
	}
}

// Strangers use up the tries of strangers: the last five are for places where the user was
// seen. A program's tries are not counted at all, and its right one is right.
func TestRecoveryTriesAreKeptForTheUser(t *testing.T) {
	w, code := lockedOut(t, strict(), mfa.State{Seen: []string{"203.0.113.7"}})
	stranger := mfa.Origin{Service: "sshd", Address: "198.51.100.9"}
	for i := range 15 {
		if right, void := w.try(w.from(stranger), noCode); right || void != (i == 14) {
			t.Fatalf("stranger's try %d: right %v, void %v", i+1, right, void)
		}
	}
	if right, void := w.try(w.from(stranger), code); right || !void {
		t.Errorf("stranger: right %v, void %v", right, void)
	}
	program := w.from(mfa.Origin{Service: "sudo", Address: "203.0.113.7", UID: alice.UID})
	program.CountApart()
	w.update(program, func(st *mfa.State) { st.Recovery.Tries = 3 })
	if right, _ := w.try(program, noCode); right || w.state().Recovery.Tries != 3 {
		t.Errorf("a program's: right %v, %d tries", right, w.state().Recovery.Tries)
	}
	w.update(program, func(st *mfa.State) { st.Recovery.Tries = 19 })
	if right, void := w.try(w.user(), code); !right || void {
		t.Errorf("at home: right %v, void %v", right, void)
	}
}

// The mail of a lock goes to an address that was confirmed, with a code if the configuration
// has it, and the person at the prompt hears of it.
func TestMailOfALock(t *testing.T) {
	unconfirmed := mfa.Enrollment{Email: &mfa.Address{Address: "alice@example.com"}}
	for name, tc := range map[string]struct {
		en               mfa.Enrollment
		notify, recovery bool
		mails            int
		told             string // at the prompt
	}{
		"with a code":       {reachable(), true, true, 1, "A recovery code was sent to a***e@example.com. It ends the lock."},
		"a code alone":      {reachable(), false, true, 1, "A recovery code was sent"},
		"without a code":    {reachable(), true, false, 1, ""},
		"nothing is mailed": {reachable(), false, false, 0, ""},
		"unconfirmed":       {unconfirmed, true, true, 0, ""},
		"no address":        {mfa.Enrollment{TOTP: &mfa.TOTPSecret{}}, true, true, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := strict()
			cfg.Lockout.Notify, cfg.Lockout.Recovery = tc.notify, tc.recovery
			w := newHarness(t, cfg)
			w.has(tc.en, mfa.State{})
			last := w.wrong(w.user(), 3)
			mails := w.mail()
			if len(mails) != tc.mails || !strings.Contains(last.LockText, tc.told) || (tc.told == "") == strings.Contains(last.LockText, "recovery code") {
				t.Fatalf("%d mails; told %q", len(mails), last.LockText)
			}
			hasCode := tc.told != ""
			if (w.state().Recovery != nil) != hasCode || tc.mails > 0 && recoveryCode.MatchString(mails[0].Text) != hasCode {
				t.Errorf("kept %+v, sent %+v", w.state().Recovery, mails)
			}
		})
	}
}

// Locking a user again and again has five mails sent a day, and does not take the way out
// from them: the code of the fifth stays good, over the end of the lock and a right code.
func TestLockMailsAreBounded(t *testing.T) {
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{})
	code := ""
	for i := range 7 {
		last := w.wrong(w.user(), 3)
		if sent := strings.Contains(last.LockText, "recovery code"); sent != (i < 5) {
			t.Fatalf("lock %d: told %q", i+1, last.LockText)
		}
		if i < 5 {
			code = w.mailedCode()
		}
		w.now = w.now.Add(10 * time.Minute)
		u := w.user()
		w.update(u, func(st *mfa.State) {
			st.LockedUntil = nil
			u.CountRight(st, mfa.TOTP, false, w.now)
		})
		if kept := w.state().Recovery != nil; kept != (i >= 4) {
			t.Errorf("after lock %d and a right code the recovery code is kept: %v", i+1, kept)
		}
	}
	w.wrong(w.user(), 3)
	if right, _ := w.try(w.user(), code); !right {
		t.Error("the last code that was mailed is not good")
	}
	w.wrong(w.user(), 3) // who uses them is mailed another
	w.mailedCode()
	w.now = w.now.Add(25 * time.Hour)
	u := w.user()
	w.update(u, func(st *mfa.State) { u.CountRight(st, mfa.TOTP, false, w.now) })
	if st := w.state(); st.Recovery != nil {
		t.Errorf("kept for ever: %+v", st.Recovery)
	}
}

// A store that fails decides nothing: no lock ends, and the person is not told that one did.
func TestRecoveryWithTheStoreAway(t *testing.T) {
	w, code := lockedOut(t, strict(), mfa.State{})
	u, away := w.user(), errors.New("the disk is on fire")
	w.store.Fail(away)
	if right, void, err := u.TryRecovery(t.Context(), code); right || void || !errors.Is(err, away) {
		t.Errorf("right %v, void %v, %v", right, void, err)
	}
	w.store.Fail(nil)
	if right, _ := w.try(u, code); !right {
		t.Error("the code was spent on a store that was away")
	}
}

// Where mail goes is said only where it goes.
func TestMailbox(t *testing.T) {
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{})
	nobody := w.User(w.Records().NewUnknownAccount("ghost"), home)
	if to, ok := nobody.Mailbox(t.Context()); ok || to != "" {
		t.Errorf("a name without an account: %q", to)
	}
	nobody.Pretend(reachable())
	for _, u := range []*account.User{w.user(), nobody} { // read the same
		if to, ok := u.Mailbox(t.Context()); !ok || to != "a***e@example.com" {
			t.Errorf("%v, %q", ok, to)
		}
	}
	former := w.User(w.Records().Account(mfa.Identity{Name: "alice", UID: 7}), home)
	if to, ok := former.Mailbox(t.Context()); ok {
		t.Errorf("mail of another account of the name: %q", to)
	}
}
