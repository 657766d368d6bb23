package login

import (
	"context"
	"slices"

	"mfa/internal/challenge"
	"mfa/internal/mfa"
)

// A user's change of their own enrollment is no login, but the rules of policy
// count there too: those for the service "mfactl", from the address "local",
// with a password as the first factor.

// Converse begins a conversation with the account id about its own enrollment.
func (e *Engine) Converse(id mfa.Identity, origin mfa.Origin, p Prompter) *challenge.Conversation {
	return e.deps.Asker.Converse(e.deps.Records.Account(id), origin, p)
}

// own is an attempt to change one's own enrollment.
func (e *Engine) own(ctx context.Context, c *challenge.Conversation) (*attempt, error) {
	l := e.attempt(c, []string{password})
	return l, l.findPolicy(ctx)
}

// Prove asks for a second factor that the account has, before anything of it is
// changed, whoever policy asks at a login. Who has none is asked for nothing.
// Only Accepted lets them go on.
func (e *Engine) Prove(ctx context.Context, c *challenge.Conversation) (mfa.Verdict, error) {
	l, err := e.own(ctx, c)
	if err != nil {
		return l.unavailable(ctx, "policy look-up failed", err)
	}
	p, err := l.lookAtUser(ctx)
	switch {
	case err != nil:
		return l.Failed(ctx, err)
	case p.do == toHoldOff:
		if v, err := l.Recover(ctx, p.state); v.Outcome != mfa.Accepted {
			return v, err
		}
		return e.Prove(ctx, c) // not locked any more
	case p.do == toShutOut:
		return l.shutOut(ctx)
	case len(p.methods) > 0:
		return l.prove(ctx, p.enrollment, p.methods)
	}
	return mfa.Verdict{Outcome: mfa.Accepted, Reason: "has none"}, nil
}

// Offer is what the user may set up themselves. Its error is a look-up that
// failed.
func (e *Engine) Offer(ctx context.Context, c *challenge.Conversation) (mfa.EnrollOffer, error) {
	l, err := e.own(ctx, c)
	if err != nil {
		return mfa.EnrollOffer{}, err
	}
	return l.offer(), nil
}

// MayOptOut says whether the user may choose to have no second factor. Its error
// is a look-up that failed.
func (e *Engine) MayOptOut(ctx context.Context, c *challenge.Conversation) (bool, error) {
	l, err := e.own(ctx, c)
	return err == nil && l.policy.Mode == ModeOptional && l.policy.OptOut, err
}

func (l *attempt) offer() mfa.EnrollOffer {
	methods := slices.Clone(l.policy.Methods)
	if !l.cfg.TextMessages {
		methods = slices.DeleteFunc(methods, func(m mfa.Method) bool { return m == mfa.SMS })
	}
	return mfa.EnrollOffer{Methods: methods, SelfContacts: l.policy.SelfContacts}
}
