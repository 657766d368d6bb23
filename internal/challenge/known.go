package challenge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// The name of the secret within a user's record; the box is bound to it.
const totpField = "totp.secret"

// SealTOTP returns a secret as it is kept.
func (a *Asker) SealTOTP(id mfa.Identity, secret []byte) string {
	return a.deps.Key.Seal(secret, id.Name, totpField)
}

// OpenTOTP returns a secret that SealTOTP sealed.
func (a *Asker) OpenTOTP(id mfa.Identity, sealed string) ([]byte, error) {
	return a.deps.Key.Open(sealed, id.Name, totpField)
}

// ResealTOTP returns a sealed secret that needs no former key.
func (a *Asker) ResealTOTP(id mfa.Identity, sealed string) (string, error) {
	return a.deps.Key.Reseal(sealed, id.Name, totpField)
}

// OpenTOTPWith is OpenTOTP for a secret that was sealed with another key.
func (*Asker) OpenTOTPWith(key *seal.Key, id mfa.Identity, sealed string) ([]byte, error) {
	return key.Open(sealed, id.Name, totpField)
}

// KeyText returns the key under which secrets are sealed, for a backup.
func (a *Asker) KeyText() string { return a.deps.Key.Text() }

// TOTPCode asks for the code of an authenticator app. Current returns the
// secret as it stands when an answer comes; it isNew while it is being set up,
// and then no code of it can have been used before.
func (c *Conversation) TOTPCode(text string, isNew bool, current func(context.Context) (mfa.TOTPSecret, error)) Question {
	return Question{
		Method: mfa.TOTP, Text: text, End: EndCode, Spent: textTOTPSpent,
		Hint: func() string { return textTOTP },
		Match: func(ctx context.Context, answer string) (Match, error) {
			t, err := current(ctx)
			if err != nil {
				return nil, err
			}
			secret, err := c.OpenTOTP(c.Account.ID, t.Secret)
			if err != nil {
				return nil, err
			}
			p := otp.Params{Digits: t.Digits, Period: time.Duration(t.Period), Algorithm: t.Algorithm}
			if _, err := otp.Code(secret, 0, p); err != nil {
				return nil, fmt.Errorf("use totp of %q: %w", c.Account.ID.Name, err)
			}
			code, ok := factor.Digits(answer, p.Digits, p.Digits)
			if !ok {
				return nil, nil
			}
			return func(st *mfa.State, now time.Time) Result {
				last := int64(0)
				if isNew {
					c.NewApp(st, now, p.Period)
				} else if last, ok = c.lastStep(st, t, now); !ok {
					return Doubted
				}
				res := c.spendTOTP(st, now, secret, last, code, p)
				if res == Wrong {
					c.noteDrift(st, now, secret, last, code, p)
				}
				return res
			}, nil
		},
	}
}

// noStep stands for no step at all, in the year 1970, where one is known to have
// been used and which cannot be believed.
const noStep = 1

// lastStep returns the step of the newest code of t that counts as used. If what is
// stored is of a time that has not come, the clock ran ahead when it was stored, or
// is behind now: which of both has to be known before a code counts again, or used
// ones could be used once more under a clock set back. It is not ok until then.
func (c *Conversation) lastStep(st *mfa.State, t mfa.TOTPSecret, now time.Time) (last int64, ok bool) {
	period := time.Duration(t.Period)
	reach := int64(c.cfg.TOTP.Skew)
	switch ahead := c.stepAhead(*st, period, now); {
	case ahead && !c.trusted():
		c.deps.Log.Error("an app's code is refused: the newest one that was used is of a time that has not come, and nothing "+
			"says that the clock of this machine is right now; set it, and run mfactl unlock", "user", c.Account.ID.Name)
		return 0, false
	case ahead:
		last = noStep
	default:
		last = st.TOTPStep
	}
	if st.Since != nil {
		last = max(last, otp.Step(*st.Since, period)+reach)
	}
	return last, true
}

// trusted says whether this machine's clock is known to be right.
func (c *Conversation) trusted() bool { return c.deps.Trusted == nil || c.deps.Trusted() }

// NewApp drops a used step that lies ahead of the app's that is set up at the time
// now: it is of a former app with a shorter period, and would keep this one out.
func (a *Asker) NewApp(st *mfa.State, now time.Time, period time.Duration) {
	if a.stepAhead(*st, period, now) {
		st.TOTPStep = 0
	}
}

// spendTOTP accepts a step once and never an older one. The step is kept as it was
// accepted, even if a greater one was stored that cannot be believed.
func (c *Conversation) spendTOTP(st *mfa.State, now time.Time, secret []byte, last int64, code string, p otp.Params) Result {
	step, res, err := factor.CheckTOTP(secret, code, now, last, c.cfg.TOTP.Skew, p)
	switch {
	case err != nil:
		return Wrong // the parameters were checked before
	case res == otp.Spent:
		return Spent
	case res == otp.Right:
		st.TOTPStep = step
		return Right
	}
	return Wrong
}

// BackupCode asks for a backup code. Current returns the set as it stands when
// an answer comes.
func (c *Conversation) BackupCode(current func(context.Context) (mfa.BackupSet, error)) Question {
	return Question{
		Method: mfa.Backup, Costly: true, Text: textBackup, End: EndBackup, Spent: textBackupSpent,
		Hint: func() string { return textBackup },
		Match: func(ctx context.Context, answer string) (Match, error) {
			set, err := current(ctx)
			if err != nil {
				return nil, err
			}
			if _, shaped := factor.BackupCode(set, answer); !shaped {
				return nil, nil
			}
			index, ok, err := c.matchBackup(ctx, set, answer)
			if err != nil {
				return nil, err
			}
			return func(st *mfa.State, now time.Time) Result {
				if !ok {
					return Wrong
				}
				return spendBackup(st, set, index, now)
			}, nil
		},
	}
}

// matchBackup finds the code in the set, a bounded number of them at once.
func (c *Conversation) matchBackup(ctx context.Context, set mfa.BackupSet, answer string) (int, bool, error) {
	select {
	case c.argons <- struct{}{}:
		defer func() { <-c.argons }()
		return factor.MatchBackup(set, answer)
	case <-ctx.Done():
		return 0, false, fmt.Errorf("check backup code: %w", context.Cause(ctx))
	}
}

// Forgotten says whether nobody knows at the time now which codes of a set are used:
// none of them counts then. When a set was made that is of a time to come is not
// known either: the clock ran ahead.
func Forgotten(st mfa.State, set mfa.BackupSet, now time.Time) bool {
	return st.BackupID != set.ID && st.Since != nil &&
		(!set.Made.After(*st.Since) || set.Made.After(now.Add(mfa.ClockSlack)))
}

// spendBackup uses a code up.
func spendBackup(st *mfa.State, set mfa.BackupSet, index int, now time.Time) Result {
	if Forgotten(*st, set, now) {
		return Spent
	}
	if st.BackupID != set.ID {
		st.BackupID, st.BackupUsed = set.ID, nil
	}
	if slices.Contains(st.BackupUsed, index) {
		return Spent
	}
	st.BackupUsed = append(st.BackupUsed, index)
	return Right
}

// BackupLeft returns how many codes of a set are not used at the time now.
func BackupLeft(st mfa.State, set mfa.BackupSet, now time.Time) int {
	if Forgotten(st, set, now) {
		return 0
	}
	if st.BackupID != set.ID {
		return len(set.Hashes)
	}
	return len(set.Hashes) - len(st.BackupUsed)
}
