package account

import (
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// noStep takes the place of a used step that cannot be believed. It is in 1970, so it
// keeps no code out.
const noStep = 1

// LastStep returns the newest step of an app with that period that counts as used at the
// time now; otp.Verify takes it as last. If the stored step is in the future, the clock
// ran ahead when it was stored, or is behind now. In the second case used codes could be
// used again, so ok is false until Deps.Trusted says that the clock is right.
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
	for _, at := range []*time.Time{st.Since, st.Offline} { // other hosts may have accepted those of before
		if at != nil {
			last = max(last, otp.Step(*at, period)+int64(u.in.cfg.Skew))
		}
	}
	return last, true
}

// BeginApp notes in st that the user has a new app, of which no code was used before: Since
// does not count for it, only for backup codes.
func BeginApp(st *mfa.State) {
	st.BackupSince, st.TokensSince = mfa.Later(st.BackupSince, st.Since), mfa.Later(st.TokensSince, st.Since)
	st.Since = nil
}

// NewApp drops the used step from st if it is in the future for a new app with that
// period: it is that of a former app with a shorter period, and would refuse codes of the
// new one. Call it once the new app counts, not while the former one does.
func (a *Accounts) NewApp(st *mfa.State, now time.Time, period time.Duration) {
	if a.stepAhead(*st, period, now) {
		st.TOTPStep = 0
	}
}

// stepAhead reports whether the newest used step of st is in the future, beyond the skew.
func (a *Accounts) stepAhead(st mfa.State, period time.Duration, now time.Time) bool {
	return st.TOTPStep > otp.Step(now, period)+int64(a.cfg.Skew)
}
