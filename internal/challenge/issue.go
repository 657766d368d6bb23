package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"time"

	"mfa/internal/account"
	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// maxPending bounds the codes that are pending of one send group.
const maxPending = 8

// issued is the result of issue.
type issued struct {
	code     mfa.PendingCode
	isNew    bool      // made just now
	delivery *delivery // nil: sent earlier
	refusal
}

// A refusal says why no code was sent. It is zero if one was sent, or an earlier one is
// still good.
type refusal struct {
	refused string // for the person
	reason  string // for the log, with the key of mfa.toml
	wait    time.Duration
}

// refuse returns the refusal by the limit of that key of mfa.toml. What has a %s for the
// wait.
func (c *Conversation) refuse(what string, wait time.Duration, key string) refusal {
	return refusal{c.Words(what, text.SpanOf(wait)), key + " reached", wait}
}

// issue makes a code for this origin and sends it. If one that was sent before
// is still good and again is false, that one stands and nothing is sent. It is
// committed first and sent second.
//
// A code of a setup, whose ID is not empty, goes to an address that is not confirmed. It
// may be somebody else's, so a text message counts as asked for from a new place.
func (c *Conversation) issue(ctx context.Context, to Target, setup string, again bool) (issued, error) {
	code, err := factor.NewCode(rand.Reader, c.asker.cfg.Code.Digits)
	if err != nil {
		return issued{}, err
	}
	limit, err := c.reserve(ctx, to, setup != "", again)
	if err != nil {
		return issued{}, err
	}
	if limit != nil && to.AtLimit == "" {
		return issued{refusal: c.refuse(wordOf(to.Method).noMore, limit.Wait(c.asker.deps.Now()), limit.Limit)}, nil
	}
	var is issued
	err = c.User.Account.Update(ctx, func(st *mfa.State) error {
		is = c.arrange(st, to, code, again)
		return account.Online(*st)
	})
	if err == nil && is.isNew {
		is.delivery = c.deliver(is.code, code, to, limit)
	}
	return is, err
}

// reserve counts a text message or a call that is about to be sent against what may be
// spent, before the code of the former one is void. The limit is the one that is
// reached, if one is.
func (c *Conversation) reserve(ctx context.Context, to Target, setup, again bool) (limit *spend.LimitError, err error) {
	if !to.Method.Rings() || c.User.Account.IsUnknown() {
		return nil, nil
	}
	st, err := c.User.Account.State(ctx)
	if err != nil {
		return nil, err
	}
	if !c.arrange(&st, to, "", again).isNew {
		return nil, nil
	}
	err = c.asker.spending(to.Method).Reserve(ctx, c.User.Account.ID.Name, to.To, setup || c.stranger(st))
	if reached, ok := errors.AsType[spend.LimitError](err); ok {
		c.asker.deps.Log.Warn("a "+wordOf(to.Method).thing+" does not go out: a limit is reached", "user", c.User.Account.ID.Name,
			"to", deliver.Mask(to.To), "limit", reached.Limit, "until", reached.Until, "address", c.User.Origin.Address)
		return &reached, nil
	}
	return nil, err
}

// spending returns the ledger of text messages, or that of calls.
func (a *Asker) spending(m mfa.Method) account.Spending {
	if m == mfa.Call {
		return a.deps.Calls
	}
	return a.deps.Spending
}

// stranger reports whether a message counts as asked for from a new place.
func (c *Conversation) stranger(st mfa.State) bool {
	return c.unprivileged || len(st.Seen) > 0 && !c.User.SeenHere(st)
}

// Forbids returns the limit that forbids to send a code to a target in a login of user now,
// who has that state, and how long it does; "" if none does, or a code that was sent before
// is still good. It counts nothing, and writes nothing.
func (a *Asker) Forbids(ctx context.Context, user *account.User, st mfa.State, to Target) (limit string, wait time.Duration, err error) {
	c := a.Converse(user, nil)
	st = st.Clone()
	is := c.arrange(&st, to, "", false)
	if !is.isNew || !to.Method.Rings() || to.AtLimit != "" || user.Account.IsUnknown() {
		return is.reason, is.wait, nil
	}
	err = a.spending(to.Method).Room(ctx, user.Account.ID.Name, to.To, c.stranger(st))
	if reached, ok := errors.AsType[spend.LimitError](err); ok {
		is.refusal, err = c.refuse(wordOf(to.Method).noMore, reached.Wait(a.deps.Now()), reached.Limit), nil
	}
	return is.reason, is.wait, err
}

// arrange returns the code that st has for this origin, or adds the new one if the limits
// allow it.
func (c *Conversation) arrange(st *mfa.State, to Target, code string, again bool) issued {
	cfg, now := c.asker.cfg.Code, c.asker.deps.Now()
	forgetOld(st, now, cfg)
	i := c.pending(st, to)
	if i >= 0 && now.Before(st.Pending[i].Expires) {
		old := st.Pending[i]
		if !again {
			return issued{code: old}
		}
		if wait := old.Sent.Add(time.Duration(cfg.ResendAfter)).Sub(now); wait > 0 {
			return issued{code: old, refusal: c.refuse(textResendTooSoon, wait, "code.resend_after")}
		}
	}
	group := c.sendGroup(st)
	if wait := c.sendWait(st, group, now); wait > 0 {
		return issued{refusal: c.refuse(textNoMoreSends, wait, "code.max_sends")}
	}
	p := factor.NewPending(c.asker.deps.Key, c.User.Account.ID, c.User.Origin, to.Method, to.To, code, now, cfg.goodFor())
	if i >= 0 {
		end(st, i, mfa.CodeReplaced, now)
	}
	p.SendGroup = group
	makeRoom(st, p.SendGroup, now)
	st.Pending = append(st.Pending, p)
	if p.SendGroup == newPlaces {
		st.Sends = append(st.Sends, now)
	} else {
		st.PlaceSends = append(st.PlaceSends, mfa.PlaceSend{Origin: p.SendGroup, At: now})
	}
	return issued{code: p, isNew: true}
}

// newPlaces is the send group of all places that the user was never seen at.
const newPlaces = ""

// sendGroup names the group in which this origin's codes are counted, so that no other group
// uses up its limit: one uid that is not root, all that is no place (mfa.Origin.Place),
// one place where the user was seen, or all other places.
func (c *Conversation) sendGroup(st *mfa.State) string {
	switch place := c.User.Place(); {
	case c.User.Origin.UID != 0:
		return "uid " + strconv.FormatUint(uint64(c.User.Origin.UID), 10)
	case place == account.Nowhere || slices.Contains(st.Seen, place):
		return place
	}
	return newPlaces
}

// sendWait returns how long no code may be sent of a group, 0 if one may. Elsewhere than
// where the user was seen there is one fewer in all.
func (c *Conversation) sendWait(st *mfa.State, group string, now time.Time) time.Duration {
	times, most := st.Sends, c.asker.cfg.Code.MaxSends
	if group != newPlaces {
		times = nil
		for _, s := range st.PlaceSends {
			if s.Origin == group {
				times = append(times, s.At)
			}
		}
	} else if len(st.Seen) > 0 {
		most = max(1, most-1)
	}
	if n := len(times); n >= most {
		return times[n-most].Add(time.Duration(c.asker.cfg.Code.SendWindow)).Sub(now)
	}
	return 0
}

// makeRoom ends codes of the group, the oldest first, until there is room for one more.
func makeRoom(st *mfa.State, group string, now time.Time) {
	var of []int
	for i, p := range st.Pending {
		if p.SendGroup == group {
			of = append(of, i)
		}
	}
	for n := len(of) - maxPending; n >= 0; n-- {
		end(st, of[n], mfa.CodeReplaced, now) // the older ones stay where they are
	}
}

// forgetOld drops sends before the window, and ended codes.
func forgetOld(st *mfa.State, now time.Time, cfg CodeConfig) {
	st.Sends = mfa.Recent(st.Sends, now, cfg.SendWindow)
	st.PlaceSends = slices.DeleteFunc(st.PlaceSends, func(s mfa.PlaceSend) bool {
		return !s.At.After(now.Add(-time.Duration(cfg.SendWindow)))
	})
	sweepEnded(st, now)
}

// pending finds the code that was sent for this origin to this target, or -1.
func (c *Conversation) pending(st *mfa.State, to Target) int {
	return slices.IndexFunc(st.Pending, func(p mfa.PendingCode) bool {
		return p.Origin == c.User.Origin.String() && p.Method == to.Method && p.To == to.To
	})
}
