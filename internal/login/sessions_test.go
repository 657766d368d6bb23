package login

import (
	"errors"
	"slices"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

func TestSessionsShown(t *testing.T) {
	d := newHarness(t, always)
	id := mfa.Identity{Name: "alice", UID: 1000}
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.update("broken", func(st *mfa.State) { st.UID = 1 })
	it, err := d.store.Get(t.Context(), "state/broken")
	if err == nil {
		it.Value = []byte("nonsense")
		_, err = d.store.Put(t.Context(), it)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []wire.Session
	unreadable, err := d.engine.EachSession(t.Context(), func(v wire.Session) error {
		all = append(all, v)
		return nil
	})
	if err != nil || len(all) != 1 || all[0].User != "alice" || all[0].Ended != "" || !slices.Equal(unreadable, []string{"broken"}) {
		t.Errorf("%+v, %q, %v", all, unreadable, err)
	}
	for want, change := range map[string]func(){
		"expired":                              func() { d.engine.cfg.Session.Lifetime = 0 },
		"the enrollment changed":               func() { d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "x@y"}}) },
		"used at a time that has not come yet": func() { d.advance(-time.Hour) },
	} {
		d.engine.cfg.Session.Lifetime = bothBound.Lifetime
		d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com"}})
		d.advance(start.Sub(d.clock()))
		change()
		if all, err := d.engine.Sessions(t.Context(), id); err != nil || len(all) != 1 || all[0].Ended != want {
			t.Errorf("%+v, %v, want %q", all, err, want)
		}
	}
	if all, err := d.engine.Sessions(t.Context(), mfa.Identity{Name: "alice", UID: 7}); err != nil || len(all) != 0 {
		t.Errorf("another account of the name: %+v, %v", all, err)
	}
}

func TestSweep(t *testing.T) {
	d := newHarness(t, always)
	past, yet := start.Add(-31*24*time.Hour), start.Add(time.Minute)
	d.update("old", func(st *mfa.State) {
		*st = mfa.State{
			UID: 1, Failures: []time.Time{past}, Sends: []time.Time{past}, LockedUntil: &past,
			Pending: []mfa.PendingCode{{Expires: past}}, Enrolling: &mfa.Enrolling{Began: past}, Sessions: []mfa.Session{{Expires: start}},
		}
	})
	kept := mfa.State{
		UID: 2, Failures: []time.Time{start}, Sends: []time.Time{start}, LockedUntil: &yet, TOTPStep: 7,
		Pending: []mfa.PendingCode{{Expires: start}}, Enrolling: &mfa.Enrolling{Began: start}, Sessions: []mfa.Session{{Expires: yet}},
	}
	d.update("new", func(st *mfa.State) { *st = kept })
	d.update("spent", func(st *mfa.State) {
		*st = mfa.State{UID: 3, TOTPStep: 7, BackupID: "x", BackupUsed: []int{1}, LockedHard: true, Failures: []time.Time{past}}
	})
	before, err := d.store.Get(t.Context(), "state/new")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.accounts.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if keys, err := d.store.Keys(t.Context(), "state/"); err != nil || !slices.Equal(keys, []string{"state/new", "state/spent"}) {
		t.Errorf("left: %q, %v", keys, err)
	}
	if after, err := d.store.Get(t.Context(), "state/new"); err != nil || after.Rev != before.Rev {
		t.Errorf("written without need: %v", err)
	}
	// Spent codes stay spent.
	if st := d.state("spent"); st.TOTPStep != 7 || st.BackupID != "x" || len(st.BackupUsed) != 1 || !st.LockedHard || st.Failures != nil {
		t.Errorf("%+v", st)
	}
	d.store.Fail(errors.New("disk on fire"))
	if _, err := d.accounts.Sweep(t.Context()); err == nil {
		t.Error("a store out of order is swept")
	}
	d.store.Fail(nil)
}

// A recovery ends what is remembered, and is not remembered itself; neither is a
// login after which the password is changed.
func TestRecoveryRevokes(t *testing.T) {
	d := newRecovering(t, always)
	elsewhere := request("alice")
	elsewhere.RHost = "192.0.2.2"
	for locked := false; !locked; _, _, locked = d.state("alice").Locked(d.clock()) {
		if _, err := d.engine.Login(t.Context(), elsewhere, promptFunc(guessWrongly)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.state("alice").Sessions); n != 1 {
		t.Fatalf("%d sessions before the recovery", n)
	}
	code := d.recovery(1)
	d.login(request("alice"), mfa.Accepted, step{"It ends the lock", say(code), nil}, step{"sent to", d.code, nil})
	if st := d.state("alice"); st.Sessions != nil {
		t.Errorf("after a recovery: %+v", st.Sessions)
	}
	d.login(request("alice"), mfa.Accepted, step{"sent to", d.code, nil})
	d.again()

	t.Run("password changed by choice", func(t *testing.T) {
		d.advance(time.Hour) // the codes of the lock are over
		d.login(elsewhere, mfa.Accepted, step{"sent to", say("p"), nil}, step{"is changed after this login", d.code, nil},
			step{want: "Change your password now"})
		if st := d.state("alice"); st.Sessions != nil {
			t.Errorf("%+v", st.Sessions)
		}
	})
}

// A name without an account has nothing to be remembered by, and a key that could not be
// fingerprinted never fits.
func TestNobodyAndNothingAreNotRemembered(t *testing.T) {
	d := newHarness(t, always)
	l := d.engine.inquire(d.accounts.User(d.accounts.Records().NewUnknownAccount("ghost"), OriginOf(request("ghost"))), nil)
	if mode := l.rememberMode(); mode != RememberNever {
		t.Errorf("nobody: %q", mode)
	}
	s, _, _ := good()
	s.Enrollment = ""
	if why := bothBound.ended(s, "", start); why == "" {
		t.Error("no fingerprint fits none")
	}
}
