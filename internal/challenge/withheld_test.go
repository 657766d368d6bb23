package challenge

import (
	"testing"

	"mfa/internal/mfa"
)

// Somebody who has proven a key is told at once that sshd keeps back what they type.
func TestWithheldBehindAKey(t *testing.T) {
	h := newHarness(t)
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
