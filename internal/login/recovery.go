package login

import (
	"context"

	"mfa/internal/challenge"
	"mfa/internal/mfa"
)

// mayChangePassword says whether the password can be changed after this login: the
// service is one that asks PAM's account part and then changes it, and its account
// part asks us.
func (l *attempt) mayChangePassword() bool {
	switch l.Origin.Service {
	case "sshd", "login", "su", "su-l":
		return l.carriesDemand()
	}
	return false
}

// carriesDemand says whether a demand for a new password reaches the application.
func (l *attempt) carriesDemand() bool {
	return l.deps.ChangesPassword == nil || l.deps.ChangesPassword(l.Origin.Service)
}

// passwordChange adds to an accepted login the demand that the password be changed,
// if a recovery made it or the user chose it. We do not see whether it was
// changed, so the demand of a recovery stands until a login that root asked for
// and that carries it was accepted while the client was there.
func (l *attempt) passwordChange(ctx context.Context, v mfa.Verdict) mfa.Verdict {
	due := l.MustChangePassword()
	if !due && !l.ownWish {
		return v
	}
	if !l.carriesDemand() {
		l.deps.Log.Warn("the password is not changed: no account line of the service calls pam_mfa (mfactl doctor)",
			"user", l.Account.ID.Name, "service", l.Origin.Service)
		return v
	}
	v.ChangePassword = true
	if due {
		l.Say(ctx, mfa.Info, textChangePassword)
	} else {
		l.Say(ctx, mfa.Info, textChangeNow)
	}
	if !due || ctx.Err() != nil || l.Origin.UID != 0 {
		return v // a program of the user's own may do nothing with it
	}
	err := l.Account.Update(context.WithoutCancel(ctx), func(st *mfa.State) error {
		st.MustChangePassword = false
		return nil
	})
	if err != nil {
		l.deps.Log.Error("the next login demands a password change once more", "user", l.Account.ID.Name, "error", err)
	}
	return v
}

// revoke ends what lets later logins pass by what earlier ones left.
func (l *attempt) revoke(ctx context.Context) error {
	return l.Account.Update(context.WithoutCancel(ctx), func(st *mfa.State) error {
		challenge.Revoke(st)
		return nil
	})
}

const (
	textAllDisabled    = "Your second factor is disabled after 100 wrong codes in a row. Ask your administrator to enroll you anew."
	textOwnWish        = "Your password is changed after this login."
	textChangePassword = "You are required to change your password now."
	textChangeNow      = "Please change your password now."
)
