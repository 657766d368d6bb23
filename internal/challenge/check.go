package challenge

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// commitTimeout bounds the write of an answer, which no disconnect stops.
const commitTimeout = 10 * time.Second

// A checked answer.
type checked struct {
	Result
	wasLocked   bool       // not looked at
	wasDisabled bool       // not looked at
	disabled    bool       // wrong: the method proves nothing from now on
	left        int        // wrong: how many more until the lock
	lockText    string     // locked: what is said of it
	drift       *mfa.Drift // wrong, or right by another factor: the app's clock seems to be off
	mustChange  bool       // right: a password change is due
}

// check counts an answer, looks at it, spends the code or locks the user, all in
// one update that is durable when it returns. An answer that arrived is checked
// even if the client is gone by now. It counts for nothing, and is not counted, if the
// user is not any more as the conversation saw them.
func (c *Conversation) check(ctx context.Context, q Question, answer string) (checked, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if q.Costly {
		leave, err := c.turns.take(ctx, c.Account.ID.Name)
		if err != nil {
			return checked{}, err
		}
		defer leave()
		st, err := c.Account.State(ctx)
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
		return checked{Result: None}, cmp.Or(err, c.checkRecord(ctx)) // it may be a code of what is there now
	}
	var res checked
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		if _, _, locked := st.Locked(c.deps.Now()); !locked { // else that is told
			if err := cmp.Or(c.CheckState(*st), c.checkSetup(*st), c.checkRecord(ctx)); err != nil {
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
	if told, locked := c.Locked(st); locked {
		return checked{wasLocked: true, lockText: told}, true
	}
	if !c.setup && c.disabled(st, m) {
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
		c.succeed(st, m, now)
		res.mustChange = st.MustChangePassword
	case Wrong:
		if d := st.Drift; d != nil && m == mfa.TOTP && d.At.Equal(now) {
			res.drift = d
		}
		if c.setup {
			res.left = maxTries
			break
		}
		c.counting(st, func(counted *mfa.State) {
			res.disabled = countMethod(counted, m)
			res.left = c.cfg.Lockout.fail(counted, now)
		})
		res.lockText, _ = c.Locked(*st)
	}
	return res
}

// succeed forgets what a right code of the method makes good, and no more: the
// wrong codes of another method stay counted.
func (c *Conversation) succeed(st *mfa.State, m mfa.Method, now time.Time) {
	c.counting(st, func(counted *mfa.State) {
		counted.Failures = nil
		if !c.setup {
			delete(counted.MethodFailures, m)
		}
	})
	if c.unprivileged {
		return
	}
	DropRecovery(st, now)
	st.Seen = see(st.Seen, c.Origin)
}

// countMethod counts a wrong code of a method and says whether it was the last that
// the method takes.
func countMethod(st *mfa.State, m mfa.Method) (disabled bool) {
	if st.MethodFailures == nil {
		st.MethodFailures = map[mfa.Method]int{}
	}
	st.MethodFailures[m]++
	return st.Disabled(m)
}

// failed writes down and tells of a wrong code that was counted. To the text of a
// lock it adds what ends it.
func (c *Conversation) failed(ctx context.Context, method mfa.Method, res *checked) {
	c.wrong++
	ev := c.Event(audit.Failed)
	ev.Method = string(method)
	if c.unprivileged {
		ev.Reason = reasonApart
	}
	if res.drift != nil {
		ev.Reason = strings.TrimPrefix(ev.Reason+"; "+textDrift("the app's", *res.drift), "; ")
	}
	c.deps.Audit.Record(ev)
	if res.left == 0 {
		ev.Event = audit.Locked
		c.deps.Audit.Record(ev)
		c.deps.Log.Warn("second factor locked after wrong codes; mfactl unlock ends it", "user", c.Account.ID.Name,
			"lock", res.lockText, "service", c.Origin.Service, "address", c.Origin.Address)
		if c.unprivileged {
			c.tellLockedApart(ctx)
		} else {
			c.live.end(c.Account.ID.Name, c, ended(res.lockText, "locked by wrong codes elsewhere"))
			res.lockText = strings.TrimSuffix(res.lockText+"\n"+c.tellLocked(ctx), "\n")
		}
	}
	if res.disabled {
		ev.Event = audit.Disabled
		c.deps.Audit.Record(ev)
		c.deps.Log.Error("method disabled after too many wrong codes in a row; have the user set it up anew, or mfactl enroll or reset them",
			"user", c.Account.ID.Name, "method", method, "address", c.Origin.Address)
	}
}

// Enabled returns those of methods that st has not disabled for this conversation.
func (c *Conversation) Enabled(st mfa.State, methods []mfa.Method) []mfa.Method {
	return slices.DeleteFunc(slices.Clone(methods), func(m mfa.Method) bool { return c.disabled(st, m) })
}
