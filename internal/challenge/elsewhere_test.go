package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// The code of another login is a slip once, and a guess after any wrong code: else a guess
// at several codes would be free.
func TestCodeOfAnotherLogin(t *testing.T) {
	h := newHall(t)
	to, away := Target{Method: mfa.Email, To: mailed}, mfa.Origin{Service: "sshd", Address: "198.51.100.9"}
	other := h.asker.Converse(h.accounts.User(h.accounts.Records().Account(alice), away), &script{t: t, steps: []step{{"A code was sent", fails(mfa.ErrNoConversation)}}})
	_, _, _ = h.pose(other, to)
	theirs := h.code(1)
	s := &script{t: t, steps: []step{
		{"A code was sent", types(theirs)},
		{"That code was sent for another login", types("000000")},
		{"2 tries left", types(theirs)},
		{"One try left", func() (string, error) {
			if n := len(h.state().Failures); n != 2 {
				t.Errorf("%d counted", n)
			}
			h.code(2) // both went out
			return h.code(1), nil
		}},
	}}
	if _, v, err := h.pose(h.talk(s), to); v.Outcome != mfa.Accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("Code:")
}

// Five wrong answers to the code of a setup end that code, over all conversations, and lock
// nobody.
func TestTriesOfASetup(t *testing.T) {
	h := newHall(t)
	h.set(func(st *mfa.State) { st.Enrolling = &mfa.Enrolling{ID: "mine"} })
	ask := func(want mfa.Outcome, steps ...step) {
		t.Helper()
		s := &script{t: t, steps: steps}
		c := h.talk(s)
		q, end, err := c.SentCode(t.Context(), Target{Method: mfa.Email, To: mailed}, "mine")
		if end != nil || err != nil {
			t.Fatalf("%+v, %v", end, err)
		}
		if _, v, _ := c.Pose(t.Context(), q); v.Outcome != want || len(s.steps) > 0 {
			t.Errorf("%+v, %d steps left", v, len(s.steps))
		}
	}
	ask(mfa.Exhausted, step{"A code was sent", types("000000")}, step{"2 tries left", types("000001")}, step{"One try left", types("000002")})
	ask(mfa.WrongCode, step{"It is still good", types("000003")}, step{"2 tries left", types("000004")},
		step{"One try left", func() (string, error) { return h.code(1), nil }}, step{"That code is void.", fails(mfa.ErrNoConversation)})
	if st := h.state(); len(st.Failures) > 0 || len(st.Pending) > 0 {
		t.Errorf("remembered: %+v", st)
	}
}

// After two codes in a row that expired while nobody typed any, the next waits until the
// prompt has stood; one to which something was typed says that somebody is there.
func TestCodesThatAreIgnored(t *testing.T) {
	for typed, want := range map[string]string{"": "A code is being sent", "000000": "A code was sent to"} {
		h := newHall(t)
		to := Target{Method: mfa.Email, To: mailed}
		gone := step{"", fails(mfa.ErrNoConversation)}
		for range maxIgnored {
			s := &script{t: t, steps: []step{{"A code was sent to", types(typed)}, gone}}
			_, _, _ = h.pose(h.talk(s), to)
			h.later(20 * time.Minute)
		}
		s := &script{t: t, steps: []step{{want, fails(mfa.ErrNoConversation)}}}
		_, _, _ = h.pose(h.talk(s), to)
		if sent := h.state().Pending[0].Sent.Equal(h.clock()); sent != (typed != "") {
			t.Errorf("after %q: sent %v", typed, sent)
		}
	}
}

// One code of another time is told to nobody but who has proven another factor; two in a row
// are told at once.
func TestDrift(t *testing.T) {
	const told = "Your app's clock seems to be 10 minutes ahead."
	h := newHall(t)
	app, _ := h.app()
	ahead := func() (string, error) {
		h.later(30 * time.Second)
		return h.appCodeAt(h.clock().Add(10 * time.Minute)), nil
	}
	ask := func(steps ...step) {
		t.Helper()
		c := h.talk(&script{t: t, steps: steps})
		_, _, _ = c.Pose(t.Context(), Question{Code: c.AppCode("", func(context.Context) (mfa.TOTPSecret, error) { return app, nil }), Text: "Your app"})
	}
	ask(step{"Your app", ahead}, step{"That code is not right. 2 tries left. Code:", ahead}, step{told, fails(mfa.ErrNoConversation)})
	s := &script{t: t, steps: []step{{"A code was sent", func() (string, error) { return h.code(1), nil }}}}
	if _, v, err := h.pose(h.talk(s), Target{Method: mfa.Email, To: mailed}); v.Outcome != mfa.Accepted || err != nil || h.state().Drift != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end(told + " Let the phone set its time by itself.")
}

// Somebody who has proven a key is told at once that sshd keeps back what they type.
func TestWithheldBehindAKey(t *testing.T) {
	h := newHall(t)
	s := &script{t: t, steps: []step{{"A code was sent", fails(mfa.Withheld(6))}}}
	keyed := home
	keyed.Key = "SHA256:x"
	c := h.asker.Converse(h.accounts.User(h.accounts.Records().Account(alice), keyed), s)
	_, v, err := h.pose(c, Target{Method: mfa.Email, To: mailed})
	if v.Outcome != mfa.NoConversation || err == nil || len(h.state().Failures) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
	s.end(textWithheld)
}

// A backup code of another set is a guess.
func TestWrongBackupCode(t *testing.T) {
	h := newHall(t)
	codes, set, err := factor.NewBackupSet(rand.Reader, 1)
	others, _, err2 := factor.NewBackupSet(rand.Reader, 1)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, steps: []step{{"Backup", types(others[0])}, {"That code is not right. 2 tries left.", func() (string, error) {
		if n := len(h.state().Failures); n != 1 {
			t.Errorf("%d counted", n)
		}
		return codes[0], nil
	}}}}
	c := h.talk(s)
	_, v, err := c.Pose(t.Context(), Question{Code: c.BackupCode(func(context.Context) (mfa.BackupSet, error) { return set, nil }), Text: "Backup"})
	if v.Outcome != mfa.Accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

// A turn holds up nobody of another name, is waited for no longer than asked, and leaves
// nothing behind.
func TestTurns(t *testing.T) {
	var ts turns
	leave, err := ts.take(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	other, err := ts.take(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errAway)
	if _, err := ts.take(ctx, "alice"); !errors.Is(err, errAway) {
		t.Errorf("taken twice: %v", err)
	}
	leave()
	if len(ts.queue) > 0 {
		t.Errorf("left: %v", ts.queue)
	}
	if leave, err = ts.take(t.Context(), "alice"); err != nil {
		t.Errorf("not given back: %v", err)
	}
	leave()
}
