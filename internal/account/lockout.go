package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/text"
)

// fail counts one wrong code at the time now. It returns how many more may
// follow before the lock; at none left, st is locked.
func (c LockoutConfig) fail(st *mfa.State, now time.Time) (left int) {
	st.Failures = append(mfa.Recent(st.Failures, now, c.Window), now)
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
	st.LockedUntil, st.LockedFor = &until, c.Duration
}

// Unlock ends a user's lock, drops their failures, and ends all that a wrong clock
// stored. A record that cannot be read begins anew. It returns whether they were locked.
// Methods that are disabled stay so. Actor is the administrator, for the audit file.
func (a *Accounts) Unlock(ctx context.Context, user, actor string) (wasLocked bool, err error) {
	id, period, err := a.whoseLock(ctx, user)
	if err != nil {
		return false, err
	}
	now := a.deps.Now()
	stored, err := a.deps.Records.StoredState(ctx, user)
	ahead := err == nil && len(stored.Ahead(now, a.cfg.Lengths())) > 0
	restarted, err := a.deps.Records.RestartState(ctx, id, now, func(st *mfa.State) error {
		_, _, wasLocked = st.Locked(now)
		if t := st.Apart; t != nil {
			_, _, apart := t.Locked(now)
			wasLocked = wasLocked || apart
		}
		late := a.stepAhead(*st, period, now)
		if !wasLocked && st.LockedUntil == nil && len(st.Failures) == 0 && st.Apart == nil && !late && !ahead {
			return errNothingToUnlock
		}
		st.Unlock()
		a.endAhead(st, period, now)
		st.LockMails = nil // the next lock has a way out again
		return nil
	})
	if errors.Is(err, errNothingToUnlock) {
		return false, nil
	}
	if err == nil {
		ev := mfa.Event{Time: a.deps.Now(), Event: audit.Unlocked, User: user, Actor: actor}
		if restarted {
			ev.Reason = "the record could not be read and begins anew; what could have been used before counts as used"
			a.deps.Log.Warn("what is remembered of a user begins anew: the record could not be read", "user", user, "actor", actor)
		}
		a.deps.Audit.Record(ev)
	}
	return wasLocked, err
}

// Ahead is mfa.State.Ahead for st as it is stored, and names the app, too, if its used step
// is in the future. Unlock ends all of it.
func (a *Accounts) Ahead(st mfa.State, en mfa.Enrollment, now time.Time) []string {
	found := st.Ahead(now, a.cfg.Lengths())
	if en.TOTP != nil && a.stepAhead(st, max(time.Duration(en.TOTP.Period), time.Second), now) && !slices.Contains(found, appAhead) {
		found = append(found, appAhead)
	}
	return found
}

// appAhead is the name of an app in what mfa.State.Ahead returns.
const appAhead = "authenticator app"

// endAhead ends what st has of times in the future.
func (a *Accounts) endAhead(st *mfa.State, period time.Duration, now time.Time) {
	if a.stepAhead(*st, period, now) {
		st.TOTPStep = noStep
	}
	st.EndFutureTimes(now, a.cfg.Lengths())
}

// EndFutureTimes ends what is stored of a user with times in the future, as Unlock does, but no
// other lock or wrong code. It returns the names of what it ended, as Ahead does. Actor is
// the administrator, for the audit file.
func (a *Accounts) EndFutureTimes(ctx context.Context, user, actor string) (ended []string, err error) {
	id, period, err := a.whoseLock(ctx, user)
	if err != nil {
		return nil, err
	}
	en, err := a.deps.Records.Enrollment(ctx, user)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	stored, err := a.deps.Records.StoredState(ctx, user)
	if err != nil {
		return nil, err
	}
	if ended = a.Ahead(stored, en, a.deps.Now()); len(ended) == 0 {
		return nil, nil
	}
	err = a.deps.Records.UpdateState(ctx, user, func(st *mfa.State) error {
		a.endAhead(st, period, a.deps.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.deps.Audit.Record(mfa.Event{
		Time: a.deps.Now(), Event: audit.Settled, User: user, UID: &id.UID, Actor: actor, Reason: "ended: " + strings.Join(ended, ", "),
	})
	return ended, nil
}

// whoseLock returns the identity of a user as far as their enrollment tells it, and the
// period of their app.
func (a *Accounts) whoseLock(ctx context.Context, user string) (id mfa.Identity, period time.Duration, err error) {
	id, period = mfa.Identity{Name: user}, time.Duration(a.cfg.Period)
	en, err := a.deps.Records.Enrollment(ctx, user)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
		return id, max(period, time.Second), nil
	}
	if id.UID = en.UID; en.TOTP != nil {
		period = time.Duration(en.TOTP.Period)
	}
	return id, max(period, time.Second), err
}

// Lock refuses a user's logins for length, or until an administrator unlocks if it is 0.
// It replaces a lock that there is, and ends their conversations. No recovery code ends
// this lock. It returns when the lock ends, or nil. Actor is the administrator, for the
// audit file.
func (a *Accounts) Lock(ctx context.Context, id mfa.Identity, length time.Duration, actor string) (until *time.Time, err error) {
	defer a.Hold(id.Name)()
	var told text.Sentence
	err = a.deps.Records.Account(id).Update(ctx, func(st *mfa.State) error {
		now := a.deps.Now()
		st.Unlock()
		LockoutConfig{Duration: mfa.Duration(length)}.lock(st, now)
		st.LockedBy = actor
		st.NewEpoch(now)
		until, told = st.LockedUntil, textLocked(*st, now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.EndConversations(id.Name, told, "locked by "+actor)
	ev := mfa.Event{Time: a.deps.Now(), Event: audit.Locked, User: id.Name, UID: &id.UID, Actor: actor, Reason: "until unlocked"}
	if until != nil {
		ev.Reason = "for " + mfa.Duration(length).String()
	}
	a.deps.Audit.Record(ev)
	return until, nil
}

var errNothingToUnlock = errors.New("nothing to unlock")
