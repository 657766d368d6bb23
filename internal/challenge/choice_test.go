package challenge

import (
	"errors"
	"testing"

	"mfa/internal/mfa"
)

// The password is no choice and no address: who gives it is asked again, a few times, and
// nothing is counted.
func TestPasswordWhereItIsNotAskedFor(t *testing.T) {
	given := fails(mfa.ErrPasswordTyped)
	for name, tc := range map[string]struct {
		steps  []step
		chosen int
		err    error
	}{
		"once":         {[]step{{"Which", given}, {textNoPassword + " Which", types("2")}}, 1, nil},
		"twice":        {[]step{{"Which", given}, {textNoPassword, given}, {textNoPassword, types("")}}, 0, nil},
		"always":       {[]step{{"Which", given}, {textNoPassword, given}, {textNoPassword, given}}, 0, mfa.ErrPasswordTyped},
		"wide":         {[]step{{"Which", types("２")}}, 1, nil},
		"then nothing": {[]step{{"Which", given}, {textNoPassword, fails(mfa.ErrNoConversation)}}, 0, mfa.ErrNoConversation},
	} {
		h := newHarness(t)
		s := &script{t: t, steps: tc.steps}
		c := h.talk(s)
		i, _, err := c.Choose(t.Context(), "Which?", []string{"one", "two"}, "")
		if i != tc.chosen || !errors.Is(err, tc.err) || len(s.steps) > 0 || c.Guessed() {
			t.Errorf("%s: %d, %v, %d steps left", name, i, err, len(s.steps))
		}
		if name == "always" {
			_, _ = c.NoAnswer(t.Context(), "", err)
			s.end(TextStopped)
		}
	}
}
