package factor

import (
	"cmp"
	"slices"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// A token counts each press of its button, and the daemon each code that it took. The
// presses that nobody logged in with are found again in two ways. A code within the
// window ahead is taken. Further ahead a code is wrong, is counted, and looks to whoever
// typed it like any other wrong one: told apart, it would tell a guesser what to try
// later. But if the very next answer is the code that follows it, the token is taken
// there. Chance gives that to one pair of guesses in a thousand million.
const (
	hotpReach = 1000 // counts ahead in which two codes in a row are looked for
	hotpBack  = 100  // counts before the next whose codes are known as used
)

// A Token is what a code of it is looked at by.
type Token struct {
	Secret []byte
	Params otp.Params // without a period
	First  int64      // no code before that of this count is good
	Window int        // how many counts ahead of the next one are good too
	Reach  int64      // how many counts a first code is looked for in, at a setup; 0: a thousand
}

// Counted returns how far t has counted, as st knows. It is not known if st was lost
// since the token was set up, and then no code of it is good.
func Counted(st mfa.State, t Token) (c mfa.TokenCount, known bool) {
	name := otp.TokenName(t.Secret)
	for _, c := range st.Tokens {
		if c.Token == name {
			c.Next = max(c.Next, t.First)
			return c, true
		}
	}
	return mfa.TokenCount{Token: name, Next: t.First}, st.Since == nil && st.TokensSince == nil
}

// maxTokens bounds the tokens of a user of which the count is kept. One that was set up
// so many tokens ago is forgotten.
const maxTokens = 64

// KeepCount notes how far a token has counted. It never goes back.
func KeepCount(st *mfa.State, c mfa.TokenCount) {
	var kept []mfa.TokenCount
	for _, k := range st.Tokens {
		if k.Token == c.Token {
			c.Next = max(c.Next, k.Next)
			continue
		}
		kept = append(kept, k)
	}
	kept = append(kept, c)
	st.Tokens = kept[max(0, len(kept)-maxTokens):]
}

// ForgetCount notes that nobody knows how far a token has counted, of which no count is kept
// any more: none of its codes is good until it is found again.
func ForgetCount(st *mfa.State, token string, now time.Time) {
	st.Tokens = slices.DeleteFunc(slices.Clone(st.Tokens), func(k mfa.TokenCount) bool { return k.Token == token })
	st.TokensSince = mfa.Later(st.TokensSince, &now)
}

// CheckHOTP looks at a code that Digits returned, and notes in st how far the token has
// counted then: that is to be in the same commit that counts the attempt. With otp.Right,
// ahead is how many codes were passed over. Whether the count is known, Counted says.
func CheckHOTP(st *mfa.State, t Token, code string) (res otp.Result, ahead int64, err error) {
	c, _ := Counted(*st, t)
	if err := otp.CheckToken(t.Secret, c.Next, t.Params); err != nil {
		return otp.Wrong, 0, err
	}
	at, found, err := otp.Find(t.Secret, code, c.Next, int64(t.Window)+1, t.Params)
	if !found && err == nil && c.Far > c.Next {
		at, found, err = otp.Find(t.Secret, code, c.Far, 1, t.Params)
	}
	switch {
	case err != nil:
		return otp.Wrong, 0, err
	case found:
		KeepCount(st, mfa.TokenCount{Token: c.Token, Next: at + 1})
		return otp.Right, at - c.Next, nil
	}
	if spent, err := isUsed(t, c.Next, code); spent || err != nil {
		return otp.Spent, 0, err
	}
	ahead = int64(t.Window) + 1
	at, found, err = otp.Find(t.Secret, code, c.Next+ahead, hotpReach-ahead, t.Params)
	far := int64(0)
	if found {
		far = at + 1
	}
	if far != c.Far {
		c.Far = far
		KeepCount(st, c)
	}
	return otp.Wrong, 0, err
}

// isUsed says whether code is one of those before the count next.
func isUsed(t Token, next int64, code string) (bool, error) {
	back := min(next, hotpBack)
	_, used, err := otp.Find(t.Secret, code, next-back, back, t.Params)
	return used, err
}

// BeginHOTP looks at the code by which a token is proven that is being set up: who does
// that has its secret. It changes nothing. With otp.Right it returns the next count,
// which KeepCount is to note once the token counts.
func BeginHOTP(st mfa.State, t Token, code string) (next int64, res otp.Result, err error) {
	c, _ := Counted(st, t)
	if err := otp.CheckToken(t.Secret, c.Next, t.Params); err != nil {
		return 0, otp.Wrong, err
	}
	at, found, err := otp.Find(t.Secret, code, c.Next, cmp.Or(t.Reach, hotpReach), t.Params)
	if found || err != nil {
		return at + 1, otp.Right, err
	}
	if used, err := isUsed(t, c.Next, code); used || err != nil {
		return 0, otp.Spent, err
	}
	return 0, otp.Wrong, nil
}

// pairReach is how many counts FindPair looks at.
const pairReach = 100_000

// FindPair returns the count after two codes in a row, as somebody reads them from the
// token now, at or after First.
func FindPair(t Token, code, following string) (next int64, found bool, err error) {
	if err := otp.CheckToken(t.Secret, t.First, t.Params); err != nil {
		return 0, false, err
	}
	for at := t.First; at < t.First+pairReach; at++ {
		if _, is, err := otp.Find(t.Secret, code, at, 1, t.Params); err != nil || !is {
			if err != nil {
				return 0, false, err
			}
			continue
		}
		if _, is, err := otp.Find(t.Secret, following, at+1, 1, t.Params); err != nil || is {
			return at + 2, is, err
		}
	}
	return 0, false, nil
}

// MergeCounts keeps in st the counts of a saved state too. Unless its tokens can have been
// used since, which here nobody knows of.
func MergeCounts(st *mfa.State, saved []mfa.TokenCount, unknown bool) {
	for _, c := range saved {
		has := slices.ContainsFunc(st.Tokens, func(k mfa.TokenCount) bool { return k.Token == c.Token })
		if has || !unknown {
			c.Far = 0
			KeepCount(st, c)
		}
	}
}
