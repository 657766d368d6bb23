package login

import (
	"context"

	"mfa/internal/mfa"
)

// mayChangePassword reports whether the user can ask to change the password after this
// login: the service is one that changes it when PAM's account part demands that, and its
// account part asks us.
func (l *inquiry) mayChangePassword() bool {
	if l.user.IsOffline() {
		return false // it ends remembered logins, which are not known here
	}
	switch l.user.Origin.Service {
	case "sshd", "login", "su", "su-l":
		return l.carriesDemand()
	}
	return false
}

// carriesDemand reports whether a demand for a new password reaches the application.
func (l *inquiry) carriesDemand() bool {
	return l.engine.deps.ChangesPassword == nil || l.engine.deps.ChangesPassword(l.user.Origin.Service)
}

// passwordChange adds to an accepted login the demand that the password be changed,
// if a recovery made it or the user chose it. We do not see whether it was
// changed, so the demand of a recovery stands until a login that root asked for
// and that carries it was accepted while the client was there.
func (l *attempt) passwordChange(ctx context.Context, v mfa.Verdict) mfa.Verdict {
	due := l.talk.MustChangePassword() && !l.user.IsOffline() // the next login with the fleet's store demands it
	if !due && !l.wantsNewPassword {
		return v
	}
	if !l.carriesDemand() {
		l.engine.deps.Log.Warn("the password is not changed: no account line of the service calls pam_mfa (mfactl doctor)",
			"user", l.user.Account.ID.Name, "service", l.user.Origin.Service)
		return v
	}
	v.ChangePassword = true
	if due {
		l.talk.Say(ctx, mfa.Info, l.talk.Words(textChangePassword))
	} else {
		l.talk.Say(ctx, mfa.Info, l.talk.Words(textChangeNow))
	}
	if !due || ctx.Err() != nil || l.user.Origin.UID != 0 {
		return v // a program of the user's own may do nothing with it
	}
	err := l.user.Account.Update(context.WithoutCancel(ctx), func(st *mfa.State) error {
		st.MustChangePassword = false
		return nil
	})
	if err != nil {
		l.engine.deps.Log.Error("the next login demands a password change once more", "user", l.user.Account.ID.Name, "error", err)
	}
	return v
}

const (
	textAllDisabled    = "Your second factor is disabled after 100 wrong codes in a row. Ask your administrator to enroll you anew."
	textOwnWish        = "Your password is changed after this login."
	textChangePassword = "You are required to change your password now."
	textChangeNow      = "Change your password now."
)
