package challenge

import (
	"context"
	"errors"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// fail counts one wrong code at the time now. It returns how many more may
// follow before the lock; at none left, st is locked.
func (c LockoutConfig) fail(st *mfa.State, now time.Time) (left int) {
	st.Failures = append(within(st.Failures, now, c.Window), now)
	left = c.Failures - len(st.Failures)
	if left > 0 {
		return left
	}
	st.Failures = nil
	if c.Duration == 0 {
		st.LockedHard = true
	} else {
		until := now.Add(time.Duration(c.Duration))
		st.LockedUntil = &until
	}
	return 0
}

// within drops the times that are older than window.
func within(times []time.Time, now time.Time, window mfa.Duration) []time.Time {
	first := 0
	for first < len(times) && !times[first].After(now.Add(-time.Duration(window))) {
		first++
	}
	return times[first:]
}

// Unlock ends a user's lock and forgets their failures. It says whether they
// were locked. Actor is who did it, for the audit file.
func (a *Asker) Unlock(ctx context.Context, user, actor string) (wasLocked bool, err error) {
	err = a.deps.Records.UpdateState(ctx, user, func(st *mfa.State) error {
		_, _, wasLocked = st.Locked(a.deps.Now())
		if !wasLocked && st.LockedUntil == nil && len(st.Failures) == 0 {
			return errNothingToUnlock
		}
		st.Failures, st.LockedUntil, st.LockedHard = nil, nil, false
		return nil
	})
	if errors.Is(err, errNothingToUnlock) {
		return false, nil
	}
	if err == nil {
		a.deps.Audit.Record(audit.Event{Time: a.deps.Now(), Event: audit.Unlocked, User: user, Actor: actor})
	}
	return wasLocked, err
}

var errNothingToUnlock = errors.New("nothing to unlock")
