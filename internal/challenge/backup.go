package challenge

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// A backupCode is a code of the user's set of backup codes.
type backupCode struct {
	fixed
	c       *Conversation
	current func(context.Context) (mfa.BackupSet, error)
}

// BackupCode returns the Code of a backup code. Current is called at each answer and
// returns the set.
func (c *Conversation) BackupCode(current func(context.Context) (mfa.BackupSet, error)) Code {
	return &backupCode{fixed: fixed{c}, c: c, current: current}
}

// Kind implements Code.
func (b *backupCode) Kind() Kind {
	return Kind{Method: mfa.Backup, End: EndBackup, Hint: b.c.Words(textBackup), Spent: textBackupSpent, Instead: adviceAnother, Costly: true}
}

// Prepare implements Code.
func (b *backupCode) Prepare(ctx context.Context, answer string) (CheckFunc, error) {
	set, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	if _, shaped := factor.BackupCode(set, answer); !shaped {
		return nil, nil
	}
	index, ok, err := b.c.asker.matchBackup(ctx, set, answer)
	if err != nil {
		return nil, err
	}
	return func(st *mfa.State, now time.Time) Judgement {
		switch {
		case !ok:
			return Judgement{Result: Wrong}
		case factor.SpendBackup(st, set, index, now) == otp.Spent:
			return Judgement{Result: Spent}
		}
		return Judgement{Result: Right}
	}, nil
}

// matchBackup is factor.MatchBackup, at most maxArgons at once.
func (a *Asker) matchBackup(ctx context.Context, set mfa.BackupSet, answer string) (int, bool, error) {
	select {
	case a.argons <- struct{}{}:
		defer func() { <-a.argons }()
		return factor.MatchBackup(set, answer)
	case <-ctx.Done():
		return 0, false, fmt.Errorf("check backup code: %w", context.Cause(ctx))
	}
}
