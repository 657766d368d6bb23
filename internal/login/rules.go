package login

import (
	"context"
	"fmt"
	"reflect"

	"mfa/internal/account"
)

// A new configuration counts for conversations under way, too: before somebody is let in
// or an enrollment changes, the rules of the current Engine are compared with those that
// the conversation began with. If they differ, it begins again with the current Engine.

// current returns the Engine of the configuration that counts now.
func (e *Engine) current() *Engine {
	if e.deps.Current != nil {
		if now := e.deps.Current(); now != nil {
			return now
		}
	}
	return e
}

// preconditions is what the conversation stands on beside the user: the rules, and whose name it is.
func (l *inquiry) preconditions() account.Preconditions {
	return account.Preconditions{Rules: l.sameRules, Account: func(ctx context.Context) error { return l.engine.current().sameAccount(ctx, l.user.Account) }}
}

// sameAccount returns nil if the name of acct still means the same account, or still none. Else
// the error wraps account.ErrAccount, or is that of a look-up.
func (e *Engine) sameAccount(ctx context.Context, acct *account.Account) error {
	now, err := e.account(ctx, acct.ID.Name)
	switch {
	case err != nil:
		return fmt.Errorf("look up the account once more: %w", err)
	case !now.Is(acct):
		return fmt.Errorf("%w: %q", account.ErrAccount, acct.ID.Name)
	}
	return nil
}

// sameRules returns account.ErrRules if the current policy has other terms for this user
// and origin than the inquiry.
func (l *inquiry) sameRules(ctx context.Context) error {
	now := l.engine.current()
	if now == l.engine {
		return nil
	}
	next := now.inquire(l.user, l.factors)
	if err := next.findPolicy(ctx); err != nil {
		return fmt.Errorf("match the new rules: %w", err)
	}
	if !reflect.DeepEqual(next.terms(), l.terms()) {
		return account.ErrRules
	}
	return nil
}

// terms returns the part of the configuration that decides about letting in and setting
// up, to be compared.
func (l *inquiry) terms() any {
	p := l.policy.PolicyConfig
	p.Rules, p.ReenrollAfterOff = nil, false
	return struct {
		PolicyConfig
		generation int
		contacts   account.ContactsConfig
	}{p, l.engine.cfg.Generation, l.engine.deps.Accounts.Config().Contacts}
}
