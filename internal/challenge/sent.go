package challenge

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

const (
	// sendGrace is how long the prompt after a sending waits for the relay's word,
	// so that an address it refuses at once is told at once. A slower relay holds
	// up nobody: its word comes with the next prompt. The wait is the same
	// whether or not there is anything to wait for, so it tells nothing either.
	sendGrace = 25 * time.Millisecond
	// maxPending bounds the codes kept of one user; the oldest go first.
	maxPending = 32
)

// A Target is where a code is sent, and how.
type Target struct {
	Method mfa.Method
	To     string
}

// SentCode asks for a code that is sent to a target: a new one, or the one that
// was sent to this origin before and is still good. If none may be sent for now
// it tells, and returns the verdict in place of a question.
func (c *Conversation) SentCode(ctx context.Context, to Target) (Question, *mfa.Verdict, error) {
	masked := deliver.Mask(to.To)
	cur, err := c.issue(ctx, to, false)
	if err != nil {
		v, err := c.Failed(ctx, err)
		return Question{}, &v, err
	}
	q := Question{Method: to.Method, End: EndCode}
	switch {
	case cur.noneFor > 0:
		c.Say(ctx, mfa.Failure, textNoMoreSends(cur.noneFor))
		return q, &mfa.Verdict{Outcome: mfa.Exhausted, Method: to.Method, Reason: "code.max_sends reached"}, nil
	case cur.isNew:
		q.Text = textCodeSent(masked, c.cfg.Code.lifetime())
		pause(ctx, sendGrace)
	default:
		now := c.deps.Now()
		q.Text = textCodeAlreadySent(masked, now.Sub(cur.code.Sent), cur.code.Expires.Sub(now))
	}
	q.Match = func(_ context.Context, answer string) (Match, error) {
		return func(st *mfa.State, now time.Time) Result { return c.spend(st, now, to, answer) }, nil
	}
	q.Resend = func(ctx context.Context) (string, error) {
		next, err := c.issue(ctx, to, true)
		switch {
		case err != nil:
			return "", err
		case next.noneFor > 0:
			return textNoMoreSends(next.noneFor), nil
		case next.tooSoon > 0:
			return textResendTooSoon(next.tooSoon), nil
		}
		cur = next
		pause(ctx, sendGrace)
		return textCodeResent(masked), nil
	}
	q.Undelivered = func() (string, error) {
		if cur.sending == nil {
			return "", nil
		}
		return textSendFailed(masked), cur.sending.Err()
	}
	q.Hint = func() string {
		if cur.underway() {
			return textUnderway
		}
		return textEmpty
	}
	return q, nil, nil
}

// spend says what answer is to the code that was sent, and uses it up.
func (c *Conversation) spend(st *mfa.State, now time.Time, to Target, answer string) Result {
	i := c.pending(st, to)
	if i < 0 || !factor.CodeMatches(c.deps.Key, c.Account.ID, st.Pending[i], answer) {
		return Wrong
	}
	late := !now.Before(st.Pending[i].Expires)
	st.Pending = slices.Delete(st.Pending, i, i+1)
	if late {
		return Expired
	}
	return Right
}

// An issued code is one that the user has, or will have when it arrives.
type issued struct {
	code    mfa.PendingCode
	isNew   bool             // made just now
	sending *deliver.Sending // nil: sent earlier, or to nobody
	tooSoon time.Duration    // if over zero, nothing was sent: resend_after has not passed
	noneFor time.Duration    // if over zero, nothing was sent: max_sends is reached
}

// underway says whether the next hop has not taken the code yet.
func (i issued) underway() bool {
	if i.sending == nil {
		return false
	}
	select {
	case <-i.sending.Done():
		return false
	default:
		return true
	}
}

// issue makes a code for this origin and sends it. If one that was sent before
// is still good and again is false, that one stands and nothing is sent. It is
// committed first and sent second.
func (c *Conversation) issue(ctx context.Context, to Target, again bool) (issued, error) {
	code, err := factor.NewCode(rand.Reader, c.cfg.Code.Digits)
	if err != nil {
		return issued{}, err
	}
	var is issued
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		is = c.arrange(st, to, code, again)
		return nil
	})
	if err == nil && is.isNew {
		is.sending = c.send(is.code, code)
	}
	return is, err
}

// arrange finds the code that st has for this origin, or puts the new one there
// if the limits let it.
func (c *Conversation) arrange(st *mfa.State, to Target, code string, again bool) issued {
	cfg, now := c.cfg.Code, c.deps.Now()
	sweep(st, now, cfg)
	i := c.pending(st, to)
	if i >= 0 && now.Before(st.Pending[i].Expires) {
		old := st.Pending[i]
		if !again {
			return issued{code: old}
		}
		if wait := old.Sent.Add(time.Duration(cfg.ResendAfter)).Sub(now); wait > 0 {
			return issued{code: old, tooSoon: wait}
		}
	}
	if n := len(st.Sends); n >= cfg.MaxSends {
		return issued{noneFor: st.Sends[n-cfg.MaxSends].Add(time.Duration(cfg.SendWindow)).Sub(now)}
	}
	p := factor.NewPending(c.deps.Key, c.Account.ID, c.Origin, to.Method, to.To, code, now, cfg.lifetime())
	if i >= 0 {
		st.Pending = slices.Delete(st.Pending, i, i+1)
	}
	st.Pending = append(st.Pending, p)
	st.Pending = st.Pending[max(0, len(st.Pending)-maxPending):]
	st.Sends = append(st.Sends, now)
	return issued{code: p, isNew: true}
}

// sweep forgets what is too old to matter. A code that expired is kept for
// another lifetime, so that who types it late is told so.
func sweep(st *mfa.State, now time.Time, cfg CodeConfig) {
	st.Sends = within(st.Sends, now, cfg.SendWindow)
	st.Pending = slices.DeleteFunc(st.Pending, func(p mfa.PendingCode) bool {
		return now.After(p.Expires.Add(cfg.lifetime()))
	})
}

// pending finds the code that was sent for this origin to this target, or -1.
func (c *Conversation) pending(st *mfa.State, to Target) int {
	return slices.IndexFunc(st.Pending, func(p mfa.PendingCode) bool {
		return p.Origin == c.Origin.String() && p.Method == to.Method && p.To == to.To
	})
}

// send hands the code to the carrier. If it cannot be delivered the code is
// withdrawn, so that the next login sends another.
func (c *Conversation) send(p mfa.PendingCode, code string) *deliver.Sending {
	if c.Account.IsNobody() {
		return nil
	}
	m := deliver.CodeNotice{
		Code: code, Host: c.cfg.Host, User: c.Account.ID.Name, Service: c.Origin.Service, Address: c.Origin.Address,
		Sent: p.Sent, Lifetime: c.cfg.Code.lifetime(), To: p.To, Subject: c.cfg.MailSubject,
	}.Email(rand.Text())
	ev := c.Event(audit.Challenge)
	ev.Method, ev.To, ev.Message = string(p.Method), deliver.Mask(p.To), m.ID
	c.deps.Audit.Record(ev)
	return c.deps.Mail.Send(m, func(err error) {
		ev.Time, ev.Event = c.deps.Now(), audit.Sent
		if err != nil {
			ev.Event, ev.Reason = audit.SendFailed, err.Error()
			c.deps.Log.Error("code not delivered", "user", c.Account.ID.Name, "to", ev.To, "error", err)
			c.withdraw(p)
		}
		c.deps.Audit.Record(ev)
	})
}

// withdraw removes a code that nobody will receive.
func (c *Conversation) withdraw(p mfa.PendingCode) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := c.Account.Update(ctx, func(st *mfa.State) error {
		st.Pending = slices.DeleteFunc(st.Pending, func(q mfa.PendingCode) bool { return string(q.Nonce) == string(p.Nonce) })
		return nil
	})
	if err != nil {
		c.deps.Log.Error("code that was not delivered is still asked for until it expires", "user", c.Account.ID.Name, "error", err)
	}
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
