package account

import (
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// noStep stands for no step at all, in the year 1970, where one is known to have
// been used and which cannot be believed.
const noStep = 1

// LastStep returns the step of the newest code of an app of that period which counts as
// used at the time now. If what is stored is of a time that has not come, the clock ran
// ahead when it was stored, or is behind now: which of both has to be known before a code
// counts again, or used ones could be used once more under a clock set back. It is not
// ok until then.
func (u *User) LastStep(st *mfa.State, period time.Duration, now time.Time) (last int64, ok bool) {
	switch ahead := u.in.stepAhead(*st, period, now); {
	case ahead && u.in.deps.Trusted != nil && !u.in.deps.Trusted():
		u.in.deps.Log.Error("an app's code is refused: the newest one that was used is of a time that has not come, and nothing "+
			"says that the clock of this machine is right now; set it, and run mfactl unlock", "user", u.Account.ID.Name)
		return 0, false
	case ahead:
		last = noStep
	default:
		last = st.TOTPStep
	}
	if st.Since != nil {
		last = max(last, otp.Step(*st.Since, period)+int64(u.in.cfg.Skew))
	}
	return last, true
}

// BeginApp notes that the user has an app which is new, of which no code can have been
// used before.
func BeginApp(st *mfa.State) {
	st.BackupSince, st.Since = mfa.Later(st.BackupSince, st.Since), nil
}

// NewApp drops a used step that lies ahead of the app's that counts since the time
// now: it is of a former app with a shorter period, and would keep this one out. It must
// not be dropped before, while the former app counts.
func (a *Accounts) NewApp(st *mfa.State, now time.Time, period time.Duration) {
	if a.stepAhead(*st, period, now) {
		st.TOTPStep = 0
	}
}

// stepAhead says whether the step of the newest code of an app that was used has not
// come, and could not have been used yet.
func (a *Accounts) stepAhead(st mfa.State, period time.Duration, now time.Time) bool {
	return st.TOTPStep > otp.Step(now, period)+int64(a.cfg.Skew)
}
