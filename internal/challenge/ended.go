package challenge

import (
	"slices"
	"time"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A code that was sent is remembered beyond its end, so that who types it late,
// twice or in another window is told so and not counted as a guesser. That gives
// nobody a free guess: such a code opens nothing any more.
const (
	maxEnded = 16             // of one user; the oldest go first
	endedFor = 24 * time.Hour // from the end
)

// maxElsewhere are the codes of other logins that a slip may be.
const maxElsewhere = 4

// maxSetupTries are the wrong answers to one code that is sent in a setup. They lock
// nobody, but they end the code.
const maxSetupTries = 5

// The digits of any code.
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

// sweepEnded ends what has expired, and forgets what ended too long ago, or at a time
// that has not come yet.
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

// matches says whether code, of digits, is p.
func (c *Conversation) matches(p mfa.PendingCode, code string) bool {
	return factor.CodeMatches(c.asker.deps.Key, c.User.Account.ID, p, code)
}

// ended says why a code is good no more, or None if it is none of those that ended.
func (c *Conversation) ended(st mfa.State, code string) Result {
	for _, e := range slices.Backward(st.Ended) {
		if c.matches(e.PendingCode, code) {
			return resultOf(e.Why)
		}
	}
	return None
}

// miss says what code is, of digits, which is not that of the pending code i.
func (c *Conversation) miss(st *mfa.State, now time.Time, i int, code string, setup bool) Result {
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

// isSlip says whether code is that of another login of the user. A guess at several codes
// is worth as many. So only a first slip is told from a guess, and only by the newest of
// the other codes.
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

// isAttempt says whether code is as long as those sent now, or as the pending code i,
// which may be from before a change of code.digits.
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
