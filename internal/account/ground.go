package account

import (
	"context"
	"errors"
)

// A Ground holds two checks of what a conversation depends on beside the records of the
// user. A nil check always passes.
type Ground struct {
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

// Stands runs both checks of the Ground and returns the first error. Each change of an
// enrollment calls it first.
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

// Stand sets the checks that changes in this conversation must pass.
func (u *User) Stand(on Ground) { u.ground = on }

// Gone returns the error of Ground.Account: the name is not that account's any more, or
// it cannot be looked up.
func (u *User) Gone(ctx context.Context) error {
	if u.ground.Account == nil {
		return nil
	}
	return u.ground.Account(ctx)
}
