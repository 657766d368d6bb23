package challenge

import (
	"testing"
	"time"

	"mfa/internal/mfa"
)

// After two codes in a row that expired while nobody typed any, the next waits until the
// prompt has stood; one to which something was typed says that somebody is there.
func TestCodesThatAreIgnored(t *testing.T) {
	for typed, want := range map[string]string{"": "A code is being sent", "000000": "A code was sent to"} {
		h := newHarness(t)
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
