package challenge

import (
	"context"
	"errors"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// A Ground is what a conversation stands on beside the records of the user. A nil
// function stands always.
type Ground struct {
	// Rules returns an error that wraps ErrChanged if what the configuration says of the
	// conversation is not any more what it began with.
	Rules func(ctx context.Context) error
	// Account returns one that wraps ErrAccount if the name is not that account's any
	// more, and any other if nobody can say.
	Account func(ctx context.Context) error
}

// ErrRules is an ErrChanged: not the user changed, but the rules for them did.
var ErrRules error = rulesChanged{}

type rulesChanged struct{}

func (rulesChanged) Error() string { return "the rules changed since the conversation began" }

func (rulesChanged) Is(target error) bool { return target == ErrChanged }

// ErrAccount means that the name is another account's by now, or nobody's. The
// conversation ends.
var ErrAccount = errors.New("the name is not that account's any more")

// Stands returns nil if the rules and the account are what they were as the conversation
// began: whatever changes an enrollment asks it first.
func (c *Conversation) Stands(ctx context.Context) error {
	for _, check := range []func(context.Context) error{c.ground.Rules, c.ground.Account} {
		if check == nil {
			continue
		}
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkRecord is CheckEnrollment for what is stored now, and looks at the rules. An
// administrator may have edited it by hand, which no epoch tells of: a code that was sent
// to an address which is not the user's any more, or asked for of an app that is gone,
// proves nothing.
func (c *Conversation) checkRecord(ctx context.Context) error {
	if c.seen == nil {
		return nil
	}
	if c.ground.Rules != nil {
		if err := c.ground.Rules(ctx); err != nil {
			return err
		}
	}
	if c.Account.IsNobody() {
		return nil
	}
	en, err := c.deps.Records.Enrollment(ctx, c.Account.ID.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return c.CheckEnrollment(en)
}

// maxAgain bounds how often one conversation begins again.
const maxAgain = 3

// Repeat does what once does, and again when it ends with ErrChanged, a few times: so
// the person is asked for what is there now, by the rules of now. Where the name is
// another account's by now, the conversation is over.
func (c *Conversation) Repeat(ctx context.Context, once func(context.Context) (mfa.Verdict, error)) (mfa.Verdict, error) {
	for range maxAgain {
		v, err := once(ctx)
		if errors.Is(err, ErrChanged) && ctx.Err() == nil && c.ground.Account != nil {
			if gone := c.ground.Account(ctx); gone != nil {
				v, err = c.Failed(ctx, gone)
			}
		}
		switch {
		case errors.Is(err, ErrAccount):
			c.Say(ctx, mfa.Failure, textAccount)
			return v, nil
		case !errors.Is(err, ErrChanged) || ctx.Err() != nil:
			return v, err
		case errors.Is(err, ErrRules):
			c.news = textRules
		default:
			c.news = textChanged
		}
	}
	c.Say(ctx, mfa.Failure, TextStopped)
	return mfa.Verdict{Outcome: mfa.Exhausted, Reason: "the user changed again and again"}, nil
}
