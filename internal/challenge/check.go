package challenge

import (
	"cmp"
	"context"
	"errors"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// commitTimeout bounds the write of an answer, which no disconnect stops.
const commitTimeout = 10 * time.Second

// checked is the result of check.
type checked struct {
	Judgement
	wasLocked   bool          // the answer was not looked at
	wasDisabled bool          // the answer was not looked at
	lockText    string        // for the person, with wasLocked
	counted     account.Wrong // wrong, and counted
	mustChange  bool          // right: a password change is due
}

// check counts an answer, looks at it, spends the code or locks the user, all in
// one update that is durable when it returns. An answer that arrived is checked
// even if the client is gone by now. If the user changed since the conversation saw them,
// the error is account.ErrChanged, and the answer neither counts nor is counted.
func (c *Conversation) check(ctx context.Context, code Code, k Kind, answer string) (checked, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if k.Costly {
		leave, err := c.asker.costly.lock(ctx, c.User.Account.ID.Name)
		if err != nil {
			return checked{}, err
		}
		defer leave()
		st, err := c.User.Account.State(ctx)
		if err != nil {
			return checked{}, err
		}
		if res, shut := c.blocked(st, k); shut {
			return res, nil
		}
	}
	look, err := code.Prepare(ctx, answer)
	switch {
	case c.withheld:
		return c.checkWithheld(look), err
	case err != nil || look == nil:
		return checked{Judgement: Judgement{Result: None}}, cmp.Or(err, c.User.CheckRecord(ctx)) // it may be a code of what is there now
	}
	res, err := c.commit(ctx, k, look)
	if err != nil {
		return res, err
	}
	switch {
	case res.Result != Wrong || res.wasLocked || res.wasDisabled:
	case k.Setup != "":
		c.wrong++ // this conversation is bounded, and what proves a token that waits; nothing else
		c.wasNumber(k)
	default:
		c.wasWrong(ctx, cmp.Or(res.Method, k.Method), &res)
	}
	if res.Result == Right {
		c.wasRight(k, res.Judgement)
	}
	c.mustChange = res.mustChange
	return res, nil
}

// wasRight notes what the right code f of k told.
func (c *Conversation) wasRight(k Kind, f Judgement) {
	c.arrived = f.Arrived
	if f.Ahead > 0 {
		c.wasAhead(cmp.Or(f.Method, k.Method), f.Ahead)
	}
	if k.Setup != "" {
		c.setupStep, c.setupDigits = f.Step, f.Digits
	}
}

// commit is the part of check that is one update.
func (c *Conversation) commit(ctx context.Context, k Kind, look CheckFunc) (res checked, err error) {
	err = c.User.Account.Update(ctx, func(st *mfa.State) error {
		if _, _, locked := st.Locked(c.asker.deps.Now()); !locked { // else that is told
			if err := cmp.Or(c.User.CheckState(*st), checkSetup(*st, k), c.User.CheckRecord(ctx)); err != nil {
				return err
			}
		}
		res = c.decide(st, k, look)
		if res.Result == Right && (k.Setup != "" || !account.CountsOffline(cmp.Or(res.Method, k.Method))) {
			return account.Online(*st)
		}
		return nil
	})
	return res, err
}

// checkSetup returns ErrVoid if another setup took the place of the one that a code of
// k proves.
func checkSetup(st mfa.State, k Kind) error {
	if k.Setup != "" && (st.Enrolling == nil || st.Enrolling.ID != k.Setup) {
		return ErrVoid
	}
	return nil
}

// ErrVoid means that what is being set up here was begun anew from elsewhere.
var ErrVoid = errors.New("the setup was begun anew from elsewhere")

// blocked reports whether answers are not looked at, and why: the user is locked, or the
// method is disabled. A disabled method can be set up anew.
func (c *Conversation) blocked(st mfa.State, k Kind) (res checked, shut bool) {
	if told, locked := c.User.Locked(st); locked {
		return checked{wasLocked: true, lockText: told}, true
	}
	if k.Setup == "" && c.User.Disabled(st, k.Method) {
		return checked{wasDisabled: true}, true
	}
	return checked{}, false
}

// decide is the part of check that changes the state. A wrong code of a setup is not
// counted: a guess could open nothing yet, and a slip must not lock a user who enrolls.
func (c *Conversation) decide(st *mfa.State, k Kind, look CheckFunc) (res checked) {
	now := c.asker.deps.Now()
	if res, shut := c.blocked(*st, k); shut {
		return res
	}
	st.LockedUntil, st.LockedBy, st.LockedFor = nil, "", 0
	res.Judgement = look(st, now)
	method := cmp.Or(res.Method, k.Method)
	switch res.Result {
	case Right:
		if d := st.Drift; d != nil && method != mfa.TOTP && now.Sub(d.At) < driftKept {
			res.Drift = d
		}
		st.Drift = nil
		c.User.CountRight(st, method, k.Setup != "", now)
		res.mustChange = st.MustChangePassword
	case Wrong:
		if k.Setup != "" {
			res.counted.Left = maxTries
			break
		}
		res.counted = c.User.CountWrong(st, method, now)
	}
	return res
}

// wasWrong notes a wrong code that was counted; see account.User.AfterWrong.
func (c *Conversation) wasWrong(ctx context.Context, method mfa.Method, res *checked) {
	c.wrong++
	c.guessed = true
	hint := ""
	if res.Drift != nil {
		hint = driftReason(*res.Drift)
	}
	c.User.AfterWrong(ctx, method, &res.counted, hint)
}
