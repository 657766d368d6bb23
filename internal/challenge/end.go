package challenge

import (
	"context"
	"errors"
	"fmt"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// Close is the verdict v at the end of a conversation, which err is about, as the
// module will say it. Nobody is let in where a prompt got no answer, where the client
// is gone or where the conversation was ended from outside: the module refuses the
// first by itself, and nobody hears the second.
func (c *Conversation) Close(ctx context.Context, v mfa.Verdict, err error) (mfa.Verdict, error) {
	cause := context.Cause(ctx)
	if ended, ok := errors.AsType[mfa.Ended](cause); ok {
		if ended.Text != "" {
			c.Say(ctx, mfa.Failure, ended.Text)
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

// TellOfFailures has the user told, at the end of a conversation that ended in a refusal,
// of the wrong codes that were typed in it; see account.User.TellOfFailures. Where none
// was, nothing is told.
func (c *Conversation) TellOfFailures(ctx context.Context) {
	if c.wrong > 0 {
		c.User.TellOfFailures(ctx)
	}
}

// maxAgain bounds how often one conversation begins again.
const maxAgain = 3

// Repeat does what once does, and again when it ends with account.ErrChanged, a few times: so
// the person is asked for what is there now, by the rules of now. Where the name is
// another account's by now, the conversation is over.
func (c *Conversation) Repeat(ctx context.Context, once func(context.Context) (mfa.Verdict, error)) (mfa.Verdict, error) {
	for range maxAgain {
		v, err := once(ctx)
		if errors.Is(err, account.ErrChanged) && ctx.Err() == nil {
			if gone := c.User.Gone(ctx); gone != nil {
				v, err = c.Failed(ctx, gone)
			}
		}
		switch {
		case errors.Is(err, account.ErrAccount):
			c.Say(ctx, mfa.Failure, textAccount)
			return v, nil
		case !errors.Is(err, account.ErrChanged) || ctx.Err() != nil:
			return v, err
		case errors.Is(err, account.ErrRules):
			c.news = textRules
		default:
			c.news = textChanged
		}
	}
	c.Say(ctx, mfa.Failure, TextStopped)
	return mfa.Verdict{Outcome: mfa.Exhausted, Reason: "the user changed again and again"}, nil
}
