package account

import (
	"context"
	"errors"
)

// Preconditions are two checks of what a conversation depends on beside the records of the
// user. A nil check always passes.
type Preconditions struct {
	// Rules returns an error that wraps ErrChanged if the configuration now has other
	// rules for the conversation than at its beginning.
	Rules func(ctx context.Context) error
	// Account returns an error that wraps ErrAccount if the name is not that account's any
	// more, and another error if it cannot be looked up.
	Account func(ctx context.Context) error
}

// ErrRules is an ErrChanged (errors.Is): the rules changed, not the user.
var ErrRules error = rulesChanged{}

type rulesChanged struct{}

func (rulesChanged) Error() string { return "the rules changed since the conversation began" }

func (rulesChanged) Is(target error) bool { return target == ErrChanged }

// ErrAccount means that the name is another account's by now, or nobody's. The
// conversation ends.
var ErrAccount = errors.New("the name is not that account's any more")

// CheckPreconditions runs both Preconditions and returns the first error. Each change of an
// enrollment calls it first.
func (u *User) CheckPreconditions(ctx context.Context) error {
	for _, check := range []func(context.Context) error{u.required.Rules, u.required.Account} {
		if check == nil {
			continue
		}
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Require sets the checks that changes in this conversation must pass.
func (u *User) Require(on Preconditions) { u.required = on }

// CheckAccount returns the error of Preconditions.Account: the name is not that account's any
// more, or it cannot be looked up.
func (u *User) CheckAccount(ctx context.Context) error {
	if u.required.Account == nil {
		return nil
	}
	return u.required.Account(ctx)
}
