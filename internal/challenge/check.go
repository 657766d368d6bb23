package challenge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// commitTimeout bounds the write of an answer, which no disconnect stops.
const commitTimeout = 10 * time.Second

// A checked answer.
type checked struct {
	Result
	wasLocked   bool          // not looked at
	wasDisabled bool          // not looked at
	lockText    string        // not looked at: what is said of the lock
	counted     account.Wrong // wrong, and counted
	drift       *mfa.Drift    // wrong, or right by another factor: the app's clock seems to be off
	mustChange  bool          // right: a password change is due
}

// check counts an answer, looks at it, spends the code or locks the user, all in
// one update that is durable when it returns. An answer that arrived is checked
// even if the client is gone by now. It counts for nothing, and is not counted, if the
// user is not any more as the conversation saw them.
func (c *Conversation) check(ctx context.Context, q Question, answer string) (checked, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if q.Costly {
		leave, err := c.turns.take(ctx, c.User.Account.ID.Name)
		if err != nil {
			return checked{}, err
		}
		defer leave()
		st, err := c.User.Account.State(ctx)
		if err != nil {
			return checked{}, err
		}
		if res, shut := c.shut(st, q.Method); shut {
			return res, nil
		}
	}
	if c.withheld {
		return c.checkWithheld(ctx, q, answer)
	}
	match, err := q.Match(ctx, answer)
	if err != nil || match == nil {
		return checked{Result: None}, cmp.Or(err, c.User.CheckRecord(ctx)) // it may be a code of what is there now
	}
	var res checked
	err = c.User.Account.Update(ctx, func(st *mfa.State) error {
		if _, _, locked := st.Locked(c.deps.Now()); !locked { // else that is told
			if err := cmp.Or(c.User.CheckState(*st), c.checkSetup(*st), c.User.CheckRecord(ctx)); err != nil {
				return err
			}
		}
		res = c.decide(st, q.Method, match)
		return nil
	})
	if err != nil {
		return res, err
	}
	switch {
	case res.Result != Wrong || res.wasLocked || res.wasDisabled:
	case c.setup:
		c.wrong++ // this conversation is bounded, and nothing else
	default:
		c.failed(ctx, q.Method, &res)
	}
	c.mustChange = res.mustChange
	return res, nil
}

// shut says whether no answer is looked at, and why.
func (c *Conversation) shut(st mfa.State, m mfa.Method) (res checked, shut bool) {
	if told, locked := c.User.Locked(st); locked {
		return checked{wasLocked: true, lockText: told}, true
	}
	if !c.setup && c.User.Disabled(st, m) {
		return checked{wasDisabled: true}, true
	}
	return checked{}, false
}

// decide is what check does to a state. A wrong code of what is being set up is
// not counted: there is nothing yet that a guess could open, and who is not
// enrolled must not be locked by a slip.
func (c *Conversation) decide(st *mfa.State, m mfa.Method, match Match) (res checked) {
	now := c.deps.Now()
	if res, shut := c.shut(*st, m); shut {
		return res
	}
	st.LockedUntil, st.LockedBy, st.LockedFor = nil, "", 0
	switch res.Result = match(st, now); res.Result {
	case Right:
		if d := st.Drift; d != nil && m != mfa.TOTP && now.Sub(d.At) < driftKept {
			res.drift = d
		}
		st.Drift = nil
		c.User.CountRight(st, m, c.setup, now)
		res.mustChange = st.MustChangePassword
	case Wrong:
		if d := st.Drift; d != nil && m == mfa.TOTP && d.At.Equal(now) {
			res.drift = d
		}
		if c.setup {
			res.counted.Left = maxTries
			break
		}
		res.counted = c.User.CountWrong(st, m, now)
	}
	return res
}

// failed writes down and tells of a wrong code that was counted.
func (c *Conversation) failed(ctx context.Context, method mfa.Method, res *checked) {
	c.wrong++
	hint := ""
	if res.drift != nil {
		hint = textDrift("the app's", *res.drift)
	}
	c.User.AfterWrong(ctx, method, &res.counted, hint)
}

// Enabled returns those of methods that st has not disabled for this conversation.
func (c *Conversation) Enabled(st mfa.State, methods []mfa.Method) []mfa.Method {
	return slices.DeleteFunc(slices.Clone(methods), func(m mfa.Method) bool { return c.User.Disabled(st, m) })
}
