package login

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mfa/internal/account"
	"mfa/internal/challenge"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// A user's change of their own enrollment is no login, but the rules of policy
// count there too: those for the service "mfactl", from the address "local",
// with a password as the first factor.

// Converse begins a conversation with the account id about its own enrollment. Nothing is
// asked yet.
func (e *Engine) Converse(id mfa.Identity, origin mfa.Origin, p Prompter) *challenge.Conversation {
	return e.conversation(e.deps.Accounts.Records().Account(id), origin, p)
}

func (e *Engine) conversation(acct *account.Account, origin mfa.Origin, p Prompter) *challenge.Conversation {
	return e.deps.Asker.Converse(e.deps.Accounts.User(acct, origin), p)
}

// own returns the inquiry about a user who changes their own enrollment.
func (e *Engine) own(ctx context.Context, u *account.User) (*inquiry, error) {
	l := e.inquire(u, []string{password})
	return l, l.findPolicy(ctx)
}

// Prove asks for a second factor that the account has, before its enrollment is changed,
// in any mode of the policy. A user who has none is asked for nothing and accepted. Any
// other verdict than Accepted is a refusal.
func (e *Engine) Prove(ctx context.Context, c *challenge.Conversation) (mfa.Verdict, error) {
	l := e.attempt(c, []string{password})
	if err := l.findPolicy(ctx); err != nil {
		return l.unavailable(ctx, "policy look-up failed", err)
	}
	p, err := l.lookAtUser(ctx)
	switch {
	case err != nil:
		return l.failed(ctx, err)
	case p.decision == denyLocked:
		if v, err := l.talk.Recover(ctx, p.state); v.Outcome != mfa.Accepted {
			return v, err
		}
		return e.Prove(ctx, c) // not locked any more
	case p.decision == denyDisabled:
		return l.refuseDisabled(ctx)
	case len(p.methods) > 0:
		return l.prove(ctx, p.enrollment, p.methods)
	}
	return mfa.Verdict{Outcome: mfa.Accepted, Reason: "has none"}, nil
}

// ErrOnlyAdministrators means that the user has no second factor, and only administrators
// may set up the first one.
var ErrOnlyAdministrators = errors.New("only administrators set up a first second factor")

// Offer returns what the user, who passed Prove, may set up themselves. Its error wraps
// ErrOnlyAdministrators, or is that of a look-up or a record.
func (e *Engine) Offer(ctx context.Context, u *account.User) (mfa.EnrollOffer, error) {
	l, err := e.own(ctx, u)
	if err != nil {
		return mfa.EnrollOffer{}, err
	}
	en, err := l.withKnown(ctx)
	if err != nil {
		return mfa.EnrollOffer{}, err
	}
	if len(usable(en, possibleMethods(en))) == 0 {
		only, err := l.onlyAdministrators(ctx)
		if err != nil {
			return mfa.EnrollOffer{}, err
		}
		if only {
			return mfa.EnrollOffer{}, ErrOnlyAdministrators
		}
	}
	offer := l.offer()
	err = l.suggest(ctx, &offer)
	return offer, err
}

// withKnown is enrollment with what is remembered of the directory.
func (l *inquiry) withKnown(ctx context.Context) (mfa.Enrollment, error) {
	en, err := l.enrollment(ctx)
	if err != nil {
		return en, err
	}
	st, err := l.user.Account.State(ctx)
	return l.addKnown(en, en, st), err
}

// onlyAdministrators reports whether only administrators may set up the first factor of
// this user: some login requires one, and no login lets them set one up. A program that
// runs as the user has proven nothing, so it may not do that either.
func (l *inquiry) onlyAdministrators(ctx context.Context) (only bool, err error) {
	for i, r := range append(slices.Clone(l.engine.cfg.Policy.Rules), Rule{}) {
		whoever := Rule{Users: r.Users, Groups: r.Groups}
		if m, err := l.mismatch(ctx, whoever, r.Label(i)); err != nil {
			return false, fmt.Errorf("match rule %q: %w", r.Label(i), err)
		} else if m != "" {
			continue
		}
		p := policy{PolicyConfig: l.engine.cfg.Policy}
		p.apply(r)
		switch asks := p.Mode == ModeRequired || p.Mode == ModeOptional && p.OptOut; {
		case asks && p.EnrollAtLogin:
			return false, nil
		case p.Mode == ModeRequired:
			only = true
		}
		if r.Users, r.Groups = nil, nil; r.MatchesAll() {
			break // no login of theirs comes to the rules after it
		}
	}
	return only, nil
}

// MayOptOut reports whether the user may choose to have no second factor. Its error
// is that of a look-up.
func (e *Engine) MayOptOut(ctx context.Context, u *account.User) (bool, error) {
	l, err := e.own(ctx, u)
	return err == nil && l.policy.Mode == ModeOptional && l.policy.OptOut, err
}

// offer is what policy lets users set up.
func (l *inquiry) offer() mfa.EnrollOffer { return l.offerOf(false) }

// offerOf is offer; where known is true, as far as somebody knows where codes of users go.
func (l *inquiry) offerOf(known bool) mfa.EnrollOffer {
	return offered(l.policy.Methods, l.engine.cfg.TextMessages, l.policy.SelfContacts || known)
}

// mayPutOff reports whether a user with that state, who is led to a second factor, can go on
// without.
func (l *inquiry) mayPutOff(st mfa.State) bool {
	return l.policy.Mode == ModeOptional || l.graceLeft(st) > 0
}

// stuck reports whether a user with that state who is led to a second factor is kept out:
// there is nothing in the offer to set up, and it cannot be put off.
func (l *inquiry) stuck(st mfa.State, offer mfa.EnrollOffer) bool {
	return len(offer.Choices()) == 0 && !l.mayPutOff(st)
}

// offered returns the offer of methods; without SMS if texts is false.
func offered(methods []mfa.Method, texts, selfContacts bool) mfa.EnrollOffer {
	methods = slices.Clone(methods)
	if !texts {
		methods = slices.DeleteFunc(methods, func(m mfa.Method) bool { return m.Rings() })
	}
	return mfa.EnrollOffer{Methods: methods, SelfContacts: selfContacts}
}

// Words returns the Printer for somebody of whom nothing is known.
func (e *Engine) Words() *text.Printer { return text.In(e.deps.Accounts.Config().Language) }
