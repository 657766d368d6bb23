package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// maxPending bounds the codes kept of one user; the oldest go first.
const maxPending = 32

// An issued code is one that the user has, or will have when it arrives.
type issued struct {
	code    mfa.PendingCode
	isNew   bool          // made just now
	sending *sending      // nil: sent earlier
	tooSoon time.Duration // if over zero, nothing was sent: resend_after has not passed
	noneFor time.Duration // if over zero, nothing was sent: max_sends is reached
	limit   string        // if not empty, nothing was sent: this limit on text messages is reached
	limited time.Duration // and for how long
}

// refused returns what to say if nothing was sent.
func (i issued) refused() string {
	switch {
	case i.noneFor > 0:
		return textNoMoreSends(i.noneFor)
	case i.tooSoon > 0:
		return textResendTooSoon(i.tooSoon)
	case i.limit != "":
		return textNoMoreTexts(i.limited)
	}
	return ""
}

// reason names the key of mfa.toml because of which nothing was sent.
func (i issued) reason() string {
	if i.limit != "" {
		return i.limit + " reached"
	}
	return "code.max_sends reached"
}

// issue makes a code for this origin and sends it. If one that was sent before
// is still good and again is false, that one stands and nothing is sent. It is
// committed first and sent second.
func (c *Conversation) issue(ctx context.Context, to Target, again bool) (issued, error) {
	code, err := factor.NewCode(rand.Reader, c.cfg.Code.Digits)
	if err != nil {
		return issued{}, err
	}
	limit, err := c.reserve(ctx, to, again)
	if err != nil {
		return issued{}, err
	}
	if limit != nil && to.Fallback == "" {
		return issued{limit: limit.Limit, limited: limit.Until.Sub(c.deps.Now())}, nil
	}
	var is issued
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		is = c.arrange(st, to, code, again)
		return nil
	})
	if err == nil && is.isNew {
		is.sending = c.send(is.code, code, to.Fallback, limit)
	}
	return is, err
}

// reserve counts a text message that is about to be sent against what may be
// spent, before the code of the former one is void. The limit is the one that is
// reached, if one is.
func (c *Conversation) reserve(ctx context.Context, to Target, again bool) (limit *deliver.LimitError, err error) {
	if to.Method != mfa.SMS || c.Account.IsNobody() {
		return nil, nil
	}
	st, err := c.Account.State(ctx)
	if err != nil {
		return nil, err
	}
	if !c.arrange(&st, to, "", again).isNew {
		return nil, nil
	}
	err = c.deps.Spending.Reserve(ctx, c.Account.ID.Name, to.To)
	if reached, ok := errors.AsType[deliver.LimitError](err); ok {
		c.deps.Log.Warn("a text message is not sent: a limit is reached", "user", c.Account.ID.Name,
			"to", deliver.Mask(to.To), "limit", reached.Limit, "until", reached.Until, "address", c.Origin.Address)
		return &reached, nil
	}
	return nil, err
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
