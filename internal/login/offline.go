package login

import (
	"slices"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// lookOffline is lookAtUser for a user of whom only what this host has kept is known, as the
// store of the fleet cannot be reached. Nobody is let in by it who proves nothing, or led to
// set up anything. The error wraps store.ErrUnreachable if the user has no way of proof that
// counts now.
func (l *inquiry) lookOffline(en mfa.Enrollment, st mfa.State) (plan, error) {
	enabled := l.user.Enabled(st, l.counting(en))
	if len(enabled) == 0 && len(l.counting(en)) > 0 {
		return plan{decision: denyDisabled, reason: disabled, state: st, enrollment: en}, nil
	}
	methods := slices.DeleteFunc(enabled, func(m mfa.Method) bool { return !account.CountsOffline(m) })
	if len(methods) == 0 {
		return plan{}, account.ErrOffline
	}
	return plan{decision: askForCode, methods: methods, state: st, enrollment: en}, nil
}

// letIn notes that the user was let in by proof: this host keeps what it needs of them.
func (l *attempt) letIn() {
	if note := l.engine.deps.Accounts.Records().LetIn; note != nil && !l.user.Account.IsUnknown() {
		note(l.user.Account.ID.Name)
	}
}
