package challenge

import (
	"context"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A Target is where a code is sent, and how.
type Target struct {
	Method   mfa.Method
	To       string
	Fallback string // email address for a text message that no carrier takes; empty: none
	AtLimit  string // email address for one that a limit of ours forbids; empty: none
}

// SentCode asks for a code that is sent to a target: a new one, or the one that
// was sent to this origin before and is still good. If none may be sent for now
// it tells, and returns the verdict in place of a question.
func (c *Conversation) SentCode(ctx context.Context, to Target) (Question, *mfa.Verdict, error) {
	who, err := c.unasked(ctx, to)
	if err != nil {
		v, err := c.Failed(ctx, err)
		return Question{}, &v, err
	}
	if who != Present {
		return c.heldCode(to, who), nil, nil
	}
	cur, err := c.issue(ctx, to, false)
	if err != nil {
		v, err := c.Failed(ctx, err)
		return Question{}, &v, err
	}
	q := c.sentQuestion(to, &cur)
	if why := cur.refused(); why != "" {
		c.Say(ctx, mfa.Failure, why)
		return q, &mfa.Verdict{Outcome: mfa.Exhausted, Method: to.Method, Reason: cur.reason()}, nil
	}
	if cur.isNew {
		pause(ctx, grace(to.Method))
		q.Text = cur.sending.told(c.cfg.Code.lifetime())
	} else {
		now := c.deps.Now()
		q.Text = textCodeAlreadySent(masked(cur.code), now.Sub(cur.code.Sent), cur.code.Expires.Sub(now))
	}
	return q, nil, nil
}

// sentQuestion asks for the code that cur is, and has no text yet.
func (c *Conversation) sentQuestion(to Target, cur *issued) Question {
	q := Question{Method: to.Method, End: EndCode, Spent: textSentSpent}
	q.Match = func(_ context.Context, answer string) (Match, error) {
		code, ok := factor.Digits(answer, minDigits, maxDigits)
		if !ok {
			return nil, nil
		}
		return func(st *mfa.State, now time.Time) Result { return c.spend(st, now, to, code) }, nil
	}
	q.Resend = func(ctx context.Context) (string, error) {
		next, err := c.issue(ctx, to, true)
		if err != nil {
			return "", err
		}
		if why := next.refused(); why != "" {
			return why, nil
		}
		*cur = next
		pause(ctx, grace(to.Method))
		return cur.sending.toldAgain(), nil
	}
	q.News = func() string { return cur.sending.news() }
	q.Undelivered = func() (string, error) { return cur.sending.failure() }
	q.Hint = func() string {
		if cur.sending.underway() {
			return textUnderway
		}
		return textEmpty
	}
	return q
}

// spend says what code, of digits, is to the one that was sent, and uses it up.
func (c *Conversation) spend(st *mfa.State, now time.Time, to Target, code string) Result {
	i := c.pending(st, to)
	if i >= 0 {
		st.Pending[i].Answered = true
	}
	if i < 0 || !factor.CodeMatches(c.deps.Key, c.User.Account.ID, st.Pending[i], code) {
		return c.miss(st, now, i, code)
	}
	p := st.Pending[i]
	if !now.Before(p.Expires) {
		end(st, i, mfa.CodeExpired, now)
		return Expired
	}
	end(st, i, mfa.CodeUsed, now)
	c.arrived = Target{Method: p.Method, To: p.To}
	if p.Via != "" {
		c.arrived = Target{Method: mfa.Email, To: p.Via}
	}
	return Right
}

// Arrived returns the way that the code took that was typed back last: another
// than it was meant to if it fell back to email. It is the zero Target before a
// code that was sent was right.
func (c *Conversation) Arrived() Target { return c.arrived }

// masked is where a code went, as people may see it.
func masked(p mfa.PendingCode) string {
	if p.Via != "" {
		return deliver.Mask(p.Via)
	}
	return deliver.Mask(p.To)
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
