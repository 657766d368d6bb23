package login

import (
	"context"
	"slices"

	"mfa/internal/mfa"
)

// A decision is what to do in a login, as far as it is known before anybody is asked.
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

// A plan is a decision with what it needs.
type plan struct {
	decision   decision
	reason     string         // of a refusal or an exemption
	state      mfa.State      // of the user
	enrollment mfa.Enrollment // of the user
	methods    []mfa.Method   // to ask for, with leadToEnroll before setting up; the first comes first
	session    mfa.Session    // of acceptRemembered
}

// look returns what to do. It stores nothing, and asks nobody.
func (l *inquiry) look(ctx context.Context) (plan, error) {
	if l.policy.Mode == ModeOff && l.user.Account.IsUnknown() {
		return plan{decision: denyUnknown, reason: reasonNoAccount}, nil
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

// lookAtUser is look without mode "off" and remembered sessions.
func (l *inquiry) lookAtUser(ctx context.Context) (plan, error) {
	st, record, locked, err := l.user.Load(ctx, l.preconditions())
	if err != nil {
		return plan{}, err
	}
	if locked {
		return plan{decision: denyLocked, reason: "locked", state: st}, nil
	}
	en, err := l.ofThisAccount(ctx, record)
	if err == nil && st.Offline != nil {
		return l.lookOffline(en, st)
	}
	if err == nil {
		en, st, err = l.withDirectory(ctx, en, st)
	}
	if err != nil {
		return plan{}, err
	}
	l.user.See(st, record) // the directory may have said of another address
	if l.missing != nil && len(l.counting(en)) == 0 {
		return plan{}, l.missing // which is never "has none"
	}
	p := l.lookAtMethods(en, st)
	p.state, p.enrollment = st, en
	return p, nil
}

// reasonNoAccount is the reason for refusing a name without an account where others need no
// second factor. When a directory is down, a real user can look like that.
const reasonNoAccount = "no such account, so nothing exempts it"

// lookAtMethods is look for a user with the enrollment en. A user whose second factor does
// not count here is asked for it all the same, also before they set up another. Otherwise
// an attacker with the password could set up a new factor by the service with the weakest
// policy, or after a change of policy.
func (l *inquiry) lookAtMethods(en mfa.Enrollment, st mfa.State) plan {
	if counting := l.counting(en); len(counting) > 0 {
		return askFor(l.user.Enabled(st, counting))
	}
	p, others := l.lookAtNewcomer(en), l.provable(en)
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

// askFor returns the plan for a user who has methods, of which enabled are not disabled.
// If all are disabled it refuses: the user must not be taken for one without a second
// factor, or a guesser could set one up.
func askFor(enabled []mfa.Method) plan {
	if len(enabled) == 0 {
		return plan{decision: denyDisabled, reason: disabled}
	}
	return plan{decision: askForCode, methods: enabled}
}

const disabled = "every method is disabled after too many wrong codes"

// allMethods are the methods that anybody can have, and that cost no call.
var allMethods = []mfa.Method{mfa.TOTP, mfa.HOTP, mfa.Email, mfa.SMS, mfa.Backup}

// possibleMethods returns the methods that a user with en may have: calls, if en was set up by one.
func possibleMethods(en mfa.Enrollment) []mfa.Method {
	if en.Preferred == mfa.Call {
		return append(slices.Clone(allMethods), mfa.Call)
	}
	return allMethods
}

// lookAtNewcomer is look for a user without a second factor that counts.
func (l *inquiry) lookAtNewcomer(en mfa.Enrollment) plan {
	optional := l.policy.Mode == ModeOptional
	switch {
	case l.user.Account.IsUnknown():
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
