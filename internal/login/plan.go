package login

import (
	"context"

	"mfa/internal/mfa"
)

// A decision is what a login comes to, as far as can be told before anybody is asked.
type decision uint8

// The decisions. The zero value is a refusal.
const (
	denyNotEnrolled  decision = iota // must enroll, but may not here
	exempt                           // nothing is asked
	denyLocked                       // locked: refused for now, unless they recover
	denyDisabled                     // every method is disabled: refused until enrolled anew
	askForCode                       // for one of the methods
	acceptRemembered                 // remembered: nothing is asked
	leadToEnroll                     // led to a first method
	denyUnknown                      // no account: refused, where others are let in
)

// A plan is what there is to do in a login, and by what.
type plan struct {
	decision   decision
	reason     string         // unless it is to ask or to set up
	state      mfa.State      // what is remembered of the user, to hold off and to ask
	enrollment mfa.Enrollment // what is set up
	methods    []mfa.Method   // to ask for, also before it is to set up; the first to begin with
	session    mfa.Session    // to recall
}

// look says what there is to do. It changes nothing, and asks nobody.
func (l *inquiry) look(ctx context.Context) (plan, error) {
	if l.policy.Mode == ModeOff && l.user.Account.IsNobody() {
		return plan{decision: denyUnknown, reason: stranger}, nil
	}
	if l.policy.Mode == ModeOff {
		return plan{decision: exempt, reason: "mode is off"}, nil
	}
	p, err := l.lookAtUser(ctx)
	if err == nil && p.decision == askForCode {
		if s, ok := l.remembered(p.state, p); ok {
			p.decision, p.session = acceptRemembered, s
		}
	}
	return p, err
}

// lookAtUser is look for whoever is asked, whatever is remembered.
func (l *inquiry) lookAtUser(ctx context.Context) (plan, error) {
	st, err := l.user.Account.State(ctx)
	if err != nil {
		return plan{}, err
	}
	if _, locked := l.user.Locked(st); locked {
		return plan{decision: denyLocked, reason: "locked", state: st}, nil
	}
	record, err := l.record(ctx)
	if err != nil {
		return plan{}, err
	}
	l.user.See(st, record)
	l.stand()
	en, err := l.theirs(ctx, record)
	if err != nil {
		return plan{}, err
	}
	p := l.lookAtMethods(en, st)
	p.state, p.enrollment = st, en
	return p, nil
}

// stranger is why somebody is refused who has no account, where others need no
// second factor. A directory that is down can make a member look like that.
const stranger = "no such account, so nothing exempts it"

// lookAtMethods is look for somebody who has en. Who has a second factor that does not
// count here is asked for it all the same: it is never worth nothing. Where they are
// led to another they prove it before: else the weakest service would hand out the
// factors of the others, and whoever comes first after a change of policy those of all.
func (l *inquiry) lookAtMethods(en mfa.Enrollment, st mfa.State) plan {
	if counting := l.counting(en); len(counting) > 0 {
		return askFor(l.user.Enabled(st, counting))
	}
	p, others := l.lookAtNewcomer(en), usable(en, allMethods)
	if len(others) == 0 {
		return p
	}
	before := askFor(l.user.Enabled(st, others))
	if before.decision == denyDisabled || p.decision == exempt {
		return before
	}
	p.methods = before.methods
	return p
}

// askFor is the plan for who has methods, of which these are not disabled. None is
// never taken for a user who has no second factor, for that would let the next
// guesser set one up.
func askFor(enabled []mfa.Method) plan {
	if len(enabled) == 0 {
		return plan{decision: denyDisabled, reason: disabled}
	}
	return plan{decision: askForCode, methods: enabled}
}

const disabled = "every method is disabled after too many wrong codes"

// allMethods are the methods that anybody can have.
var allMethods = []mfa.Method{mfa.TOTP, mfa.Email, mfa.SMS, mfa.Backup}

// lookAtNewcomer is look for who has no second factor that counts.
func (l *inquiry) lookAtNewcomer(en mfa.Enrollment) plan {
	optional := l.policy.Mode == ModeOptional
	switch {
	case l.user.Account.IsNobody():
		return plan{decision: denyNotEnrolled, reason: "no such account"}
	case optional && !l.policy.OptOut:
		return plan{decision: exempt, reason: "not enrolled, and mode is optional"}
	case optional && en.Skipped != nil:
		return plan{decision: exempt, reason: "the user chose to skip it"}
	case optional && !l.policy.EnrollAtLogin:
		return plan{decision: exempt, reason: "not enrolled, mode is optional, and enroll_at_login is off"}
	case !l.policy.EnrollAtLogin:
		return plan{decision: denyNotEnrolled, reason: "not enrolled, mode is required, and enroll_at_login is off"}
	}
	return plan{decision: leadToEnroll}
}
