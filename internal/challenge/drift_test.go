package challenge

import (
	"context"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// One code of another time is told to nobody but who has proven another factor; two in a row
// are told at once.
func TestDrift(t *testing.T) {
	const told = "Your app's clock seems to be 10 minutes ahead."
	h := newHarness(t)
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
