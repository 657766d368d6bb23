package challenge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// In a login in one line the answer came with the password, and nothing can be asked: it
// is looked at once, by all that it could be, and what else there is to say is said.

// anyOf is a code that may be any of several. An answer is one attempt, however many of them
// it could be a code of; a wrong one is counted for the last of those.
type anyOf []Code

// Kind implements Code.
func (a anyOf) Kind() Kind {
	k := a[len(a)-1].Kind()
	for _, code := range a {
		k.Costly = k.Costly || code.Kind().Costly
	}
	return k
}

// News implements Code.
func (anyOf) News() (string, error) { return "", nil }

// Send implements Code.
func (anyOf) Send(context.Context, bool) (string, error) { return "", nil } // nobody can ask for it

// Prepare implements Code.
func (a anyOf) Prepare(ctx context.Context, answer string) (CheckFunc, error) {
	var looks []CheckFunc
	var of []mfa.Method
	for _, code := range a {
		look, err := code.Prepare(ctx, answer)
		if err != nil {
			return nil, err
		}
		if look != nil {
			looks, of = append(looks, look), append(of, code.Kind().Method)
		}
	}
	if looks == nil {
		return nil, nil
	}
	return func(st *mfa.State, now time.Time) (best Judgement) {
		for i, look := range looks {
			found := look(st, now)
			found.Method = of[i]
			if found.Result == Right {
				return found
			}
			if i == 0 || found.Result.weight() >= best.Result.weight() {
				best = found
			}
		}
		return best
	}, nil
}

// weight is how much a result says of an answer that is not right: that it was a code
// once, that it is none, that nobody can say.
func (r Result) weight() int {
	switch r {
	case Spent, Expired, Replaced, Void, Elsewhere:
		return 3
	case Wrong:
		return 2
	case Doubted:
		return 1
	}
	return 0
}

// AnySent returns the code that was sent to a target for this origin before, if one was.
// None is sent.
func (c *Conversation) AnySent(to Target) Code { return &sentCode{c: c, to: to} }

// Try looks at an answer that was given before it could be asked for. Codes, one at
// least, are all that it could be, those that live longest last. It returns the verdict.
func (c *Conversation) Try(ctx context.Context, codes []Code, answer string) (mfa.Verdict, error) {
	code := anyOf(codes)
	k := code.Kind()
	if c.isName(answer) {
		c.advise(adviceName)
		return c.untried(ctx, k.Method, c.Words(textWasName)), nil
	}
	res, err := c.check(ctx, code, k, answer)
	if err != nil {
		return c.Failed(ctx, err)
	}
	for _, one := range codes {
		if own := one.Kind(); own.Method == res.Method {
			k = own
		}
	}
	v := mfa.Verdict{Outcome: mfa.Exhausted, Method: k.Method}
	told, wrong := "", c.Words(textWrongCode)+c.clockHint(k, res)
	switch {
	case res.wasLocked:
		told, v.Reason = res.lockText, "locked"
	case res.wasDisabled:
		told, v.Reason = c.Words(TextDisabled), "method disabled"
	case res.Result == Right:
		if res.Drift != nil {
			c.Say(ctx, mfa.Info, c.textDrift(*res.Drift))
		}
		return mfa.Verdict{Outcome: mfa.Accepted, Method: v.Method, Reason: "right code"}, nil
	case res.Result == Doubted:
		told, v.Outcome, v.Reason = k.Doubted, mfa.Unavailable, k.DoubtedReason
	case res.Result != Wrong:
		return c.untried(ctx, v.Method, c.Words(behind(res.Result))), nil
	default:
		if told, v.Reason = c.shut(wrong, res.counted); told == "" {
			told, v.Outcome, v.Reason = wrong, mfa.WrongCode, "wrong code"
		}
	}
	c.Say(ctx, mfa.Failure, told)
	return v, nil
}

// untried is the verdict on an answer that is no attempt.
func (c *Conversation) untried(ctx context.Context, m mfa.Method, told string) mfa.Verdict {
	c.Say(ctx, mfa.Failure, told)
	return mfa.Verdict{Outcome: mfa.NoConversation, Method: m, Reason: "what stood behind the password is no attempt"}
}

// SendBehind sends a code to a target, for the next login to carry it. Unless it is
// wanted, one that was sent before and is still good stands, and none is sent where the
// last ones were sent for nothing. It returns the verdict, which refuses.
func (c *Conversation) SendBehind(ctx context.Context, to Target, wanted bool) (mfa.Verdict, error) {
	v := mfa.Verdict{Outcome: mfa.CodeSent, Method: to.Method, Reason: "a code was sent; the next login carries it"}
	if !wanted {
		who, err := c.unasked(ctx, to)
		if err != nil {
			return c.Failed(ctx, err)
		}
		if who != Present {
			c.Say(ctx, mfa.Failure, c.Words(textNoneUnasked))
			return mfa.Verdict{Outcome: mfa.NoConversation, Method: to.Method, Reason: "the last codes were not typed, so none is sent unasked"}, nil
		}
	}
	is, err := c.issue(ctx, to, "", wanted)
	if err != nil {
		return c.Failed(ctx, err)
	}
	now := c.asker.deps.Now()
	switch {
	case is.refused != "":
		if v.Reason = is.reason; is.code.Sent.IsZero() { // and none stands
			v.Outcome = mfa.Exhausted
		}
		c.Say(ctx, mfa.Failure, is.refused)
	case !is.isNew:
		v.Reason = "a code was sent before; the next login carries it"
		told := c.Words("A code was sent to %s %s.", masked(is.code), text.AgoOf(now.Sub(is.code.Sent)))
		if c.underway(is.code) {
			told = c.Words(ofSent.leaves, masked(is.code))
		}
		c.Say(ctx, mfa.Failure, told+"\n"+c.textNextCarries(is.code.Expires.Sub(now)))
	default:
		pause(ctx, grace(to.Method))
		if failed, err := is.delivery.failure(); err != nil {
			c.Say(ctx, mfa.Failure, failed)
			return mfa.Verdict{Outcome: mfa.Unavailable, Method: to.Method, Reason: "code not delivered"}, err
		}
		told := cmp.Or(is.delivery.news(), c.Words(ofSent.goes(is.delivery.leaves()), deliver.Mask(to.To)))
		c.Say(ctx, mfa.Failure, told+"\n"+c.textNextCarries(c.asker.cfg.Code.goodFor()))
	}
	return v, nil
}

const (
	textAgainBehind = "Log in again with it right behind your password."
	textAgainComma  = "Log in again with a comma and it behind your password."
	textNoneYet     = "No code was sent yet."
)

const textNoneUnasked = "No code was sent: the last ones were not typed. Log in with ,email, ,text or ,call behind your password to have one sent."

func (c *Conversation) textNextCarries(left time.Duration) string {
	how := textAgainBehind
	if slices.ContainsFunc(c.OwnDigits, func(n int) bool { return n != cmp.Or(c.asker.cfg.Code.Digits, minDigits) }) {
		how = textAgainComma
	}
	return c.User.Words().Join(c.Words(how), c.Words("It is good for %s.", text.SpanLeft(left)))
}

// behind is what is said of an answer that is neither right nor counted, in English.
func behind(r Result) string {
	if r == Unsent {
		return textNoneYet
	}
	what, _ := Kind{Spent: textSpent}.said(r)
	return cmp.Or(what, textNoCode)
}
