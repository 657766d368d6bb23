package challenge

import (
	"context"
	"errors"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A Target is where a code is sent, and how.
type Target struct {
	Method   mfa.Method
	To       string
	Fallback string // email address for a text message or a call that no carrier takes; empty: none
	AtLimit  string // email address for one that a limit of ours forbids; empty: none
}

// A sentCode is a code that is sent to a target. While a prompt stands for it, the
// goroutine of afterQuiet may send it; that has ended when the prompt has.
type sentCode struct {
	c     *Conversation
	to    Target
	setup string // ID of the setup; empty: the target is the user's already
	due   bool   // to be sent once the first prompt has stood for a moment
	sent  bool   // by us, or before
	cur   issued
	fault error // of Send with unasked
}

// SentCode returns the Question for a code that is sent to a target: a new one, or the
// one that was sent for this origin before and is still good. Setup is the ID of the
// mfa.Enrolling that it proves, or empty. If none may be sent for now it tells the person,
// and returns a verdict instead; so it does with an error, see Failed.
func (c *Conversation) SentCode(ctx context.Context, to Target, setup string) (Question, *mfa.Verdict, error) {
	s := &sentCode{c: c, to: to, setup: setup}
	q := Question{Code: s}
	who, err := c.unasked(ctx, to)
	if err == nil && who == Present {
		s.sent = true
		s.cur, err = c.issue(ctx, to, setup, false)
	}
	if err != nil {
		v, err := c.Failed(ctx, err)
		return q, &v, err
	}
	switch {
	case who == Absent:
		q.Text = textNotSentYet(c.User.Words(), to.Method, deliver.Mask(to.To))
	case who == Doubtful:
		s.due = true
		q.Text = textOn(c.User.Words(), wordOf(to.Method).follows, deliver.Mask(to.To), c.asker.goodFor(c.User.Words()))
	case s.cur.refused != "":
		c.Say(ctx, mfa.Failure, s.cur.refused)
		return q, &mfa.Verdict{Outcome: mfa.Exhausted, Method: to.Method, Reason: s.cur.reason}, nil
	default:
		q.Text = s.standing(ctx)
	}
	return q, nil, nil
}

// standing is the text of the first prompt for a code that was sent just now, or before.
func (s *sentCode) standing(ctx context.Context) string {
	if s.cur.isNew {
		pause(ctx, grace(s.to.Method))
		return s.cur.delivery.told()
	}
	now := s.c.asker.deps.Now()
	return textCodeAlreadySent(s.c.User.Words(), s.cur.code, now.Sub(s.cur.code.Sent), s.cur.code.Expires.Sub(now), s.underway())
}

// underway reports whether no carrier has taken the code yet, whoever had it sent.
func (s *sentCode) underway() bool {
	return s.cur.delivery.underway() || s.c.underway(s.cur.code)
}

// underway is that of a code by what the daemon knows of it.
func (c *Conversation) underway(p mfa.PendingCode) bool {
	if c.User.Account.IsUnknown() {
		return c.asker.deps.Underway.asOthersStill(p.Method)
	}
	return c.asker.deps.Underway.has(p)
}

// Kind implements Code.
func (s *sentCode) Kind() Kind {
	k := Kind{Method: s.to.Method, Setup: s.setup, End: EndCode, Hint: s.c.Words(textEmpty), Spent: textSpent, Instead: adviceResend, Due: s.due && !s.sent}
	switch {
	case !s.sent:
		k.Hint = textNotSentYet(s.c.User.Words(), s.to.Method, deliver.Mask(s.to.To))
	case s.underway():
		k.Hint = s.c.Words(textUnderway)
	}
	return k
}

// News implements Code.
func (s *sentCode) News() (string, error) {
	switch {
	case s.fault != nil && s.cur.refused != "":
		return s.cur.refused, s.fault
	case s.fault != nil:
		return s.c.Words(TextUnavailable), s.fault
	}
	if text, err := s.cur.delivery.failure(); err != nil {
		return text, err
	}
	return s.cur.delivery.news(), nil
}

// Send implements Code.
func (s *sentCode) Send(ctx context.Context, unasked bool) (string, error) {
	if unasked {
		s.sent = true
		if s.cur, s.fault = s.c.issue(ctx, s.to, s.setup, false); s.fault == nil && s.cur.refused != "" {
			s.fault = errors.New(s.cur.reason)
		}
		return "", s.fault
	}
	next, err := s.c.issue(ctx, s.to, s.setup, true)
	if err != nil {
		return "", err
	}
	if why := next.refused; why != "" {
		return why, nil
	}
	first := !s.sent
	s.cur, s.sent = next, true
	pause(ctx, grace(s.to.Method))
	if first {
		return s.cur.delivery.told(), nil
	}
	return s.cur.delivery.toldAgain(), nil
}

// Prepare implements Code.
func (s *sentCode) Prepare(_ context.Context, answer string) (CheckFunc, error) {
	code, shaped := factor.Digits(answer, minDigits, maxDigits)
	if !s.sent {
		return func(st *mfa.State, now time.Time) Judgement { return s.beforeSent(st, now, code, shaped) }, nil
	}
	if !shaped {
		return nil, nil
	}
	return func(st *mfa.State, now time.Time) Judgement { return s.c.spend(st, now, s, code) }, nil
}

// beforeSent is the look while we have sent none. It is no attempt, as there is nothing
// to guess, unless one was sent from another window; and a code that is good no more is
// told in its own words.
func (s *sentCode) beforeSent(st *mfa.State, now time.Time, code string, shaped bool) Judgement {
	i := s.c.pending(st, s.to)
	none := i < 0 || !now.Before(st.Pending[i].Expires)
	switch {
	case !shaped && none:
		return Judgement{Result: Unsent}
	case !shaped:
		return Judgement{Result: None}
	case !none:
		return s.c.spend(st, now, s, code)
	}
	if i >= 0 && s.c.matches(st.Pending[i], code) {
		return Judgement{Result: Expired}
	}
	switch r := s.c.ended(*st, code); r {
	case Spent, Expired, Replaced, Void:
		return Judgement{Result: r}
	}
	return Judgement{Result: Unsent}
}

// spend compares code with the one that was sent, and uses that up if it is right.
func (c *Conversation) spend(st *mfa.State, now time.Time, s *sentCode, code string) Judgement {
	i := c.pending(st, s.to)
	if i >= 0 {
		st.Pending[i].Answered = true
	}
	if i < 0 || !c.matches(st.Pending[i], code) {
		return Judgement{Result: c.judgeMismatch(st, now, i, code, s.setup != "")}
	}
	p := st.Pending[i]
	if !now.Before(p.Expires) {
		end(st, i, mfa.CodeExpired, now)
		return Judgement{Result: Expired}
	}
	end(st, i, mfa.CodeUsed, now)
	if p.Via != "" {
		return Judgement{Result: Right, Arrived: Target{Method: mfa.Email, To: p.Via}}
	}
	return Judgement{Result: Right, Arrived: Target{Method: p.Method, To: p.To}}
}

// Arrived returns where the last sent code went that was typed back right: the email
// address if it fell back to email. It is the zero Target before that.
func (c *Conversation) Arrived() Target { return c.arrived }

// masked returns where a code went, masked.
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
