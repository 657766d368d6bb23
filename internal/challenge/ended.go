package challenge

import (
	"slices"
	"time"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A code that was sent is kept beyond its end, so that a person who types it late,
// twice or in another window is told so and it is not counted as wrong. That gives
// nobody a free guess: such a code lets nobody in any more.
const (
	maxEnded = 16             // of one user; the oldest go first
	endedFor = 24 * time.Hour // from the end
)

// maxElsewhere bounds the codes of other logins that isSlip compares.
const maxElsewhere = 4

// maxSetupTries is how many wrong answers void a code that was sent in a setup. They do
// not lock the user.
const maxSetupTries = 5

// Bounds of the length of sent codes, in digits.
const (
	minDigits = 6
	maxDigits = 10
)

// end moves the pending code i to those that are good no more.
func end(st *mfa.State, i int, why mfa.CodeEnd, now time.Time) {
	e := mfa.EndedCode{PendingCode: st.Pending[i], Why: why, At: now}
	st.Pending = slices.Delete(st.Pending, i, i+1)
	st.Ended = append(st.Ended, e)
	st.Ended = st.Ended[max(0, len(st.Ended)-maxEnded):]
}

// sweepEnded ends codes that have expired, and drops those that ended longer than
// endedFor ago or at a time in the future.
func sweepEnded(st *mfa.State, now time.Time) {
	for i := len(st.Pending) - 1; i >= 0; i-- {
		if !now.Before(st.Pending[i].Expires) {
			end(st, i, mfa.CodeExpired, now)
		}
	}
	st.Ended = slices.DeleteFunc(st.Ended, func(e mfa.EndedCode) bool {
		return now.Sub(e.At) >= endedFor || e.At.After(now)
	})
}

// matches reports whether code, as factor.Digits returned it, is that of p.
func (c *Conversation) matches(p mfa.PendingCode, code string) bool {
	return factor.CodeMatches(c.asker.deps.Key, c.User.Account.ID, p, code)
}

// ended returns why code is good no more, or None if it is not among the ended ones.
func (c *Conversation) ended(st mfa.State, code string) Result {
	for _, e := range slices.Backward(st.Ended) {
		if c.matches(e.PendingCode, code) {
			return resultOf(e.Why)
		}
	}
	return None
}

// judgeMismatch judges a code that is not that of the pending code i; i is -1 if there is none.
func (c *Conversation) judgeMismatch(st *mfa.State, now time.Time, i int, code string, setup bool) Result {
	if r := c.ended(*st, code); r != None {
		return r
	}
	if !c.isAttempt(st, i, code) {
		return None
	}
	if c.isSlip(*st, now, i, code) {
		return Elsewhere
	}
	if setup && i >= 0 {
		if st.Pending[i].Tries++; st.Pending[i].Tries >= maxSetupTries {
			end(st, i, mfa.CodeVoid, now)
		}
	}
	return Wrong
}

// isSlip reports whether code is that of another login of the user. To compare one guess
// with several codes would give a guesser several tries. So it does that for the first
// wrong answer only, and with the newest maxElsewhere codes.
func (c *Conversation) isSlip(st mfa.State, now time.Time, i int, code string) bool {
	if c.wrong > 0 || len(st.Failures) > 0 || st.Apart != nil && len(st.Apart.Failures) > 0 {
		return false
	}
	others := slices.Clone(st.Pending)
	if i >= 0 {
		others = slices.Delete(others, i, i+1)
	}
	return slices.ContainsFunc(others[max(0, len(others)-maxElsewhere):], func(p mfa.PendingCode) bool {
		return now.Before(p.Expires) && c.matches(p, code)
	})
}

// isAttempt reports whether code is as long as codes that are sent now, or as the pending
// code i, which may be from before a change of code.digits.
func (c *Conversation) isAttempt(st *mfa.State, i int, code string) bool {
	if len(code) == c.asker.cfg.Code.Digits {
		return true
	}
	return i >= 0 && (st.Pending[i].Digits == 0 || st.Pending[i].Digits == len(code))
}

func resultOf(why mfa.CodeEnd) Result {
	switch why {
	case mfa.CodeUsed:
		return Spent
	case mfa.CodeReplaced:
		return Replaced
	case mfa.CodeExpired:
		return Expired
	}
	return Void
}
