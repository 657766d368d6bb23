package challenge

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

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
			secret, err := c.accounts().OpenTOTP(c.User.Account.ID, t.Secret)
			if err != nil {
				return nil, err
			}
			p := otp.Params{Digits: t.Digits, Period: time.Duration(t.Period), Algorithm: t.Algorithm}
			if _, err := otp.Code(secret, 0, p); err != nil {
				return nil, fmt.Errorf("use totp of %q: %w", c.User.Account.ID.Name, err)
			}
			code, ok := factor.Digits(answer, p.Digits, p.Digits)
			if !ok {
				return nil, nil
			}
			return func(st *mfa.State, now time.Time) Result {
				last := int64(0)
				if isNew {
					c.accounts().NewApp(st, now, p.Period)
				} else if last, ok = c.User.LastStep(st, p.Period, now); !ok {
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
				if factor.SpendBackup(st, set, index, now) == otp.Spent {
					return Spent
				}
				return Right
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
