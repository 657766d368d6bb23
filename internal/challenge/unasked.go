package challenge

import (
	"context"
	"slices"
	"time"

	"mfa/internal/mfa"
)

// quiet is how long a prompt must stand unanswered before a code is sent, if nobody may
// be there (Doubtful). A client without a terminal answers with an empty line, or refuses,
// within a round trip; no person reads a prompt so fast.
const quiet = 600 * time.Millisecond

// maxIgnored is how many codes in a row may be sent for one origin and expire without an
// answer. After that it is taken for a robot that waits, or a client whose method cannot
// ask.
const maxIgnored = 2

// unasked returns the Presence to go by before a code is sent for this origin. It is
// Present if a prompt of this conversation was answered, or if no code would be sent: one
// is still good, or none may be sent. If the last codes got no answer it is one less
// than Conversation.Presence says.
func (c *Conversation) unasked(ctx context.Context, to Target) (Presence, error) {
	if c.answered {
		return Present, nil
	}
	st, err := c.User.Account.State(ctx)
	if err != nil || !c.arrange(&st, to, "", false).isNew {
		return Present, err
	}
	if c.ignored(&st) >= maxIgnored {
		return min(c.Presence+1, Absent), nil
	}
	return c.Presence, nil
}

// ignored returns how many of the last codes that were sent for this origin, in a row,
// expired without an answer.
func (c *Conversation) ignored(st *mfa.State) (n int) {
	for _, e := range slices.Backward(st.Ended) {
		switch {
		case e.Origin != c.User.Origin.String():
		case e.Why != mfa.CodeExpired || e.Answered:
			return n
		default:
			n++
		}
	}
	return n
}

// afterQuiet calls issue in another goroutine, unless end is called or ctx ends before
// quiet has passed. End waits for an issue that has begun.
func afterQuiet(ctx context.Context, issue func(context.Context)) (end func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTimer(quiet)
		defer t.Stop()
		select {
		case <-ended:
		case <-ctx.Done():
		case <-t.C:
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
			defer cancel()
			issue(ctx)
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}
