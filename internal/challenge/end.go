package challenge

import (
	"context"
	"errors"
	"fmt"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// Close returns the final verdict of a conversation that came to v and err. It turns an
// acceptance into a refusal if a prompt got no answer, if the client is gone, or if the
// conversation was ended from outside. The module would refuse the first by itself, so
// the audit file must say the same.
func (c *Conversation) Close(ctx context.Context, v mfa.Verdict, err error) (mfa.Verdict, error) {
	cause := context.Cause(ctx)
	if ended, ok := errors.AsType[mfa.Ended](cause); ok {
		if told := c.Words(ended.Text); ended.Text != "" && told != c.said { // an answer may have met the same lock
			c.Say(ctx, mfa.Failure, told) // which may be in English yet
		}
		return mfa.Verdict{Outcome: ended.Outcome, Method: v.Method, Reason: fmt.Sprintf("ended: %v", ended)}, err
	}
	if v.Outcome != mfa.Accepted && v.Outcome != mfa.Exempt {
		return v, err
	}
	refused := mfa.Verdict{Outcome: mfa.NoConversation, Method: v.Method}
	switch {
	case cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		refused.Reason = fmt.Sprintf("%s, but it ended: %v", v.Reason, cause)
		return refused, cause
	case c.unanswered != nil:
		refused.Reason = v.Reason + ", but a prompt got no answer"
		return refused, c.unanswered
	}
	return v, err
}

// TellOfFailures calls account.User.TellOfFailures if wrong codes were typed in the
// conversation. It is called when that ended in a refusal.
func (c *Conversation) TellOfFailures(ctx context.Context) {
	if c.wrong > 0 {
		c.User.TellOfFailures(ctx)
	}
}

// maxAgain bounds how often one conversation begins again.
const maxAgain = 3

// Repeat calls once, and again when its error wraps account.ErrChanged, at most maxAgain
// times in all: so the person is asked for what is set up now, by the rules of now. If the
// name is another account's by now, the conversation is over.
func (c *Conversation) Repeat(ctx context.Context, once func(context.Context) (mfa.Verdict, error)) (mfa.Verdict, error) {
	for range maxAgain {
		v, err := once(ctx)
		if errors.Is(err, account.ErrChanged) && ctx.Err() == nil {
			if gone := c.User.CheckAccount(ctx); gone != nil {
				v, err = c.Failed(ctx, gone)
			}
		}
		switch {
		case errors.Is(err, account.ErrAccount):
			c.Say(ctx, mfa.Failure, c.Words(textAccount))
			return v, nil
		case !errors.Is(err, account.ErrChanged) || ctx.Err() != nil:
			return v, err
		case errors.Is(err, account.ErrRules):
			c.news = c.Words(textRules)
		default:
			c.news = c.Words(textChanged)
		}
	}
	c.Say(ctx, mfa.Failure, c.Words(TextStopped))
	return mfa.Verdict{Outcome: mfa.Exhausted, Reason: "the user changed again and again"}, nil
}
