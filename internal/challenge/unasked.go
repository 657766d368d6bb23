package challenge

import (
	"context"
	"errors"
	"slices"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// quiet is how long a prompt must stand unanswered before a code is sent to who may
// not be there. A client without a terminal answers with an empty line, or refuses,
// within a round trip; no person reads a prompt so fast.
const quiet = 600 * time.Millisecond

// maxIgnored is how many codes in a row may be sent for one origin, and expire, while
// nobody types any. Then it is a robot that waits, or a client that tries a method
// which cannot ask.
const maxIgnored = 2

// unasked says who is there to be sent a code for this origin. They are Present if
// they have answered anything in this conversation, or if none would be sent: one
// still stands, or none may be sent. Where the last codes were sent for nothing, less
// is believed than the login says.
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

// ignored returns how many of the last codes that were sent for this origin, one
// after another, expired while nobody typed any.
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

// heldCode is SentCode for who may not be there: the prompt is shown first.
func (c *Conversation) heldCode(to Target, who Presence) Question {
	masked := deliver.Mask(to.To)
	cur := issued{sending: nil}
	var failed error
	sent := false
	q := c.sentQuestion(to, &cur)
	q.Text = textCodeFollows(masked, c.cfg.Code.lifetime())
	if who == Absent {
		q.Text = textNotSentYet(masked)
	}
	issue := func(ctx context.Context) {
		sent = true
		if cur, failed = c.issue(ctx, to, false); failed == nil && cur.refused() != "" {
			failed = errors.New(cur.reason())
		}
	}
	tried := who == Absent
	q.Meanwhile = func(ctx context.Context) (end func()) {
		if tried {
			return func() {}
		}
		tried = true
		return afterQuiet(ctx, issue)
	}
	hint, resend, undelivered := q.Hint, q.Resend, q.Undelivered
	q.Unsent = func(ctx context.Context) (bool, error) {
		if sent {
			return false, nil
		}
		st, err := c.User.Account.State(ctx)
		if err != nil {
			return false, err
		}
		i := c.pending(&st, to) // of another window
		return i < 0 || !c.deps.Now().Before(st.Pending[i].Expires), nil
	}
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

// unsent returns what to say to an answer that was typed while no code was sent, or
// "" if one was. It is no attempt, as there is nothing to guess; and a code that is
// good no more is told in its own words.
func (c *Conversation) unsent(ctx context.Context, q Question, answer string) (string, error) {
	if q.Unsent == nil {
		return "", nil
	}
	if none, err := q.Unsent(ctx); err != nil || !none {
		return "", err
	}
	match, err := q.Match(ctx, answer)
	if err != nil || match == nil {
		return q.Hint(), err
	}
	st, err := c.User.Account.State(ctx)
	if err != nil {
		return "", err
	}
	switch r := match(&st, c.deps.Now()); r {
	case Spent, Expired, Replaced, Void:
		return q.why(r), nil
	}
	return q.Hint(), nil
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
