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
	c.lock(st, now)
	return 0
}

// lock locks st.
func (c LockoutConfig) lock(st *mfa.State, now time.Time) {
	if c.Duration == 0 {
		st.LockedHard = true
		return
	}
	until := now.Add(time.Duration(c.Duration))
	st.LockedUntil = &until
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
		st.Unlock()
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

// Lock refuses a user's logins for so long, or until somebody unlocks if it is zero,
// in the place of a lock that there is. No code ends it. Actor is who did it.
func (a *Asker) Lock(ctx context.Context, id mfa.Identity, length time.Duration, actor string) (until *time.Time, err error) {
	err = a.deps.Records.Account(id).Update(ctx, func(st *mfa.State) error {
		st.Unlock()
		LockoutConfig{Duration: mfa.Duration(length)}.lock(st, a.deps.Now())
		st.LockedBy = actor
		until = st.LockedUntil
		return nil
	})
	if err != nil {
		return nil, err
	}
	ev := audit.Event{Time: a.deps.Now(), Event: audit.Locked, User: id.Name, UID: &id.UID, Actor: actor, Reason: "until unlocked"}
	if until != nil {
		ev.Reason = "for " + mfa.Duration(length).String()
	}
	a.deps.Audit.Record(ev)
	return until, nil
}

var errNothingToUnlock = errors.New("nothing to unlock")
