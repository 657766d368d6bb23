package account

import (
	"context"
	"errors"
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
func (u *User) Stands(ctx context.Context) error {
	for _, check := range []func(context.Context) error{u.ground.Rules, u.ground.Account} {
		if check == nil {
			continue
		}
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stand says what the conversation stands on from now on, beside what it Sees.
func (u *User) Stand(on Ground) { u.ground = on }

// Gone returns an error if the name is not that account's any more, or nobody can say.
func (u *User) Gone(ctx context.Context) error {
	if u.ground.Account == nil {
		return nil
	}
	return u.ground.Account(ctx)
}
