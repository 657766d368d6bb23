package challenge

import (
	"context"
	"errors"
	"time"

	"mfa/internal/deliver"
)

// quiet is how long a prompt must stand unanswered before a code is sent to who may
// not be there. A client without a terminal answers with an empty line, or refuses,
// within a round trip; no person reads a prompt so fast.
const quiet = 600 * time.Millisecond

// unasked says whether a code for this origin would be sent to somebody who may not
// be there: there is none yet that still stands, one may be sent, and nobody has
// answered anything in this conversation.
func (c *Conversation) unasked(ctx context.Context, to Target) (bool, error) {
	if c.Presence == Present {
		return false, nil
	}
	st, err := c.Account.State(ctx)
	if err != nil {
		return false, err
	}
	return c.arrange(&st, to, "", false).isNew, nil
}

// heldCode is SentCode for who may not be there: the prompt is shown first.
func (c *Conversation) heldCode(to Target) Question {
	masked := deliver.Mask(to.To)
	cur := issued{sending: nil}
	var failed error
	sent := false
	q := c.sentQuestion(to, &cur)
	q.Text = textCodeFollows(masked, c.cfg.Code.lifetime())
	if c.Presence == Absent {
		q.Text = textNotSentYet(masked)
	}
	issue := func(ctx context.Context) {
		sent = true
		if cur, failed = c.issue(ctx, to, false); failed == nil && cur.refused() != "" {
			failed = errors.New(cur.reason())
		}
	}
	tried := c.Presence == Absent
	q.Meanwhile = func(ctx context.Context) (end func()) {
		if tried {
			return func() {}
		}
		tried = true
		return afterQuiet(ctx, issue)
	}
	hint, resend, undelivered := q.Hint, q.Resend, q.Undelivered
	q.Unsent = func() bool { return !sent }
	q.Resend = func(ctx context.Context) (string, error) {
		text, err := resend(ctx)
		if !sent && err == nil && cur.isNew {
			text = cur.sending.told(c.cfg.Code.lifetime())
		}
		sent = sent || cur.isNew
		return text, err
	}
	q.Hint = func() string {
		if !sent {
			return textNotSentYet(masked)
		}
		return hint()
	}
	q.Undelivered = func() (string, error) {
		switch {
		case failed != nil && cur.refused() != "":
			return cur.refused(), failed
		case failed != nil:
			return TextUnavailable, failed
		}
		return undelivered()
	}
	return q
}

// afterQuiet calls issue unless end is called before a moment has passed. End waits
// for an issue that has begun.
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
