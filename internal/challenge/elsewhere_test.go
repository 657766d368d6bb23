package challenge

import (
	"testing"

	"mfa/internal/mfa"
)

// The code of another login is a slip once, and a guess after any wrong code: else a guess
// at several codes would be free.
func TestCodeOfAnotherLogin(t *testing.T) {
	h := newHarness(t)
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
	h := newHarness(t)
	h.set(func(st *mfa.State) { st.Enrolling = &mfa.Enrolling{ID: "mine"} })
	ask := func(want mfa.Outcome, steps ...step) {
		t.Helper()
		s := &script{t: t, steps: steps}
		c := h.talk(s)
		q, end, err := c.SentCode(t.Context(), Target{Method: mfa.Email, To: mailed}, "mine")
		if end != nil || err != nil {
			t.Fatalf("%+v, %v", end, err)
		}
		if _, v, _ := c.Pose(t.Context(), q); v.Outcome != want || len(s.steps) > 0 || c.Guessed() {
			t.Errorf("%+v, %d steps left, guessed %v", v, len(s.steps), c.Guessed())
		}
	}
	ask(mfa.Exhausted, step{"A code was sent", types("000000")}, step{"2 tries left", types("000001")}, step{"One try left", types("000002")})
	ask(mfa.WrongCode, step{"It is still good", types("000003")}, step{"2 tries left", types("000004")},
		step{"One try left", func() (string, error) { return h.code(1), nil }}, step{"That code is void.", fails(mfa.ErrNoConversation)})
	if st := h.state(); len(st.Failures) > 0 || len(st.Pending) > 0 {
		t.Errorf("remembered: %+v", st)
	}
}
