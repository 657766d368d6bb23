package account

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// Records reads and writes the items of S as what they are: enrollments and
// states. Users go by their canonical name. A record that does not parse, or
// that a newer build wrote, is an error naming its place, and never wraps
// ErrNotFound. Records may be copied and used from many goroutines.
type Records struct {
	S store.Store
	// Host names this machine among those with the same store; empty: there is no other.
	Host string
	// BoundTimes bounds the times of a State that was read, as mfa.State.BoundTimes does;
	// nil: they stay.
	BoundTimes func(*mfa.State)
	// Since is when the store was begun anew (Floor); nil: it never was.
	Since *time.Time
	// Cache remembers enrollments; nil: each is parsed anew.
	Cache *record.Cache
	// Locked is called for each account whose state was written with a lock; nil: it is
	// not. It must be safe for many goroutines.
	Locked func(mfa.Identity)
	// Owed are the wrong codes that could not be written down; nil: such are forgotten.
	Owed *Owed
	// LetIn is called with each user who was let in by proof; nil: it is not. It must be safe
	// for many goroutines.
	LetIn func(user string)
}

// noRecord returns the State of a user who has no record.
func (r Records) noRecord(uid uint32) mfa.State {
	st := mfa.State{UID: uid, Since: r.Since}
	if r.BoundTimes != nil {
		r.BoundTimes(&st)
	}
	return st
}

// Users returns the names of all users with an enrollment, sorted.
func (r Records) Users(ctx context.Context) ([]string, error) {
	names, err := r.S.Keys(ctx, store.Users)
	if err != nil {
		return nil, err
	}
	for i, key := range names {
		names[i] = strings.TrimPrefix(key, store.Users)
	}
	return names, nil
}

// StateUsers returns the names of all users with a state, sorted.
func (r Records) StateUsers(ctx context.Context) ([]string, error) {
	names, err := r.S.Keys(ctx, store.States)
	for i, key := range names {
		names[i] = strings.TrimPrefix(key, store.States)
	}
	return names, err
}

// Known returns the names of all users with an enrollment or a state, sorted.
func (r Records) Known(ctx context.Context) ([]string, error) {
	enrolled, err := r.Users(ctx)
	if err != nil {
		return nil, err
	}
	remembered, err := r.StateUsers(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Concat(enrolled, remembered)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// EachState calls fn for every user with a state, sorted by name; err is set for a record
// that cannot be read. It ends at the first error of fn or the end of ctx, and returns it.
func (r Records) EachState(ctx context.Context, fn func(user string, st mfa.State, err error) error) error {
	return store.Each(ctx, r.S, store.States, func(it store.Item, err error) error {
		var st mfa.State
		if err == nil {
			st, err = record.DecodeState(r.location(it.Key), it.Value)
		}
		if err == nil {
			st = r.Bounded(st)
		}
		return fn(strings.TrimPrefix(it.Key, store.States), st, err)
	})
}

// Enrollment returns the enrollment of user. The error wraps store.ErrNotFound if there is
// none, and store.ErrUnreadable if it does not parse.
func (r Records) Enrollment(ctx context.Context, user string) (mfa.Enrollment, error) {
	it, err := r.S.Get(ctx, store.Users+user)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	return r.Cache.DecodeEnrollment(r.location(it.Key), it.Value)
}

// EnrollmentText returns the enrollment of user as it is stored, even if it does not parse.
// The error wraps store.ErrNotFound if there is none.
func (r Records) EnrollmentText(ctx context.Context, user string) ([]byte, error) {
	it, err := r.S.Get(ctx, store.Users+user)
	return it.Value, err
}

// UpdateEnrollment lets fn edit the enrollment of user in one compare-and-swap, durable
// when it returns; like the fn of store.Update it may run several times. fn gets the
// zero Enrollment when there is none, and leaves the zero Enrollment to have
// the record deleted. Version is filled in. If fn changes nothing, the file
// keeps its bytes; if it changes something, comments written by hand are lost.
// If fn returns an error nothing is written and that error is returned.
func (r Records) UpdateEnrollment(ctx context.Context, user string, fn func(*mfa.Enrollment) error) error {
	key := store.Users + user
	return store.Update(ctx, r.S, key, func(old []byte) ([]byte, error) {
		var e mfa.Enrollment
		if old != nil {
			var err error
			if e, err = record.DecodeEnrollment(r.location(key), old); err != nil {
				return nil, err
			}
		}
		before, err := record.EncodeEnrollment(user, e)
		if err != nil {
			return nil, err
		}
		if err := fn(&e); err != nil {
			return nil, err
		}
		after, err := record.EncodeEnrollment(user, e)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(before, after) {
			return old, nil
		}
		return after, r.NoteUID(ctx, mfa.Identity{Name: user, UID: e.UID})
	})
}

// State returns the state of user with its times bounded by BoundTimes. Without a record it
// holds only Since. The error wraps store.ErrUnreadable if the record does not parse.
func (r Records) State(ctx context.Context, user string) (mfa.State, error) {
	st, err := r.StoredState(ctx, user)
	if err != nil {
		return st, err
	}
	return r.Bounded(st), nil
}

// Bounded returns st with its times bounded by BoundTimes. It does not change st.
func (r Records) Bounded(st mfa.State) mfa.State {
	if r.BoundTimes != nil {
		r.BoundTimes(&st)
	}
	return st
}

// StoredState is State without BoundTimes: the times are as they were stored.
func (r Records) StoredState(ctx context.Context, user string) (mfa.State, error) {
	return r.readState(ctx, user, nil)
}

// readState is StoredState; known saves decoding the same bytes twice.
func (r Records) readState(ctx context.Context, user string, known *decoded) (mfa.State, error) {
	it, err := r.S.Get(ctx, store.States+user)
	if errors.Is(err, store.ErrNotFound) {
		return mfa.State{Since: r.Since}, nil
	}
	if err != nil {
		return mfa.State{}, err
	}
	return known.decode(r.location(it.Key), it.Value)
}

// A decoded keeps the State that was read last, with the very bytes that it was read
// from: other bytes are never taken for it. It may be used from many goroutines; nil keeps
// nothing.
type decoded struct{ last atomic.Pointer[reading] }

// A reading is a State and the bytes that it was read from. It never changes.
type reading struct {
	text string
	st   mfa.State
}

// decode returns the State that data stands for. It is the caller's.
func (d *decoded) decode(place string, data []byte) (mfa.State, error) {
	if d != nil {
		if r := d.last.Load(); r != nil && r.text == string(data) {
			return r.st.Clone(), nil
		}
	}
	st, err := record.DecodeState(place, data)
	if d != nil && err == nil {
		d.last.Store(&reading{string(data), st.Clone()})
	}
	return st, err
}

// UpdateState lets fn edit the state of user in one compare-and-swap, durable when it
// returns; like the fn of store.Update it may run several times. A State left zero is
// deleted, one left unchanged is not written. If fn returns an error nothing is
// written and that error is returned.
func (r Records) UpdateState(ctx context.Context, user string, fn func(*mfa.State) error) error {
	return r.changeState(ctx, user, nil, fn)
}

// changeState is UpdateState; a, if it is not nil, is the account and knows more of the user.
func (r Records) changeState(ctx context.Context, user string, a *Account, fn func(*mfa.State) error) error {
	owing, leave, err := r.Owed.enter(ctx, user)
	if err != nil {
		return err
	}
	st, err := r.changeInTurn(ctx, user, owing, a, fn)
	leave()
	if errors.Is(err, store.ErrStale) {
		return changed(err)
	}
	if err == nil && (st.LockedHard || st.LockedUntil != nil) && r.Locked != nil {
		r.Locked(mfa.Identity{Name: user, UID: st.UID})
	}
	return err
}

// changeInTurn is the part of changeState that nobody else is in with that user. It returns the
// State that is stored if there is no error.
func (r Records) changeInTurn(ctx context.Context, user string, owing *owing, a *Account, fn func(*mfa.State) error) (st mfa.State, err error) {
	key := store.States + user
	var base mfa.State
	var changed, wrong bool // by fn: it let the change stand; it counted a wrong code
	err = store.Update(ctx, r.S, key, func(old []byte) ([]byte, error) {
		changed = false
		st = r.noRecord(0)
		if old != nil {
			var err error
			if st, err = a.decoded().decode(r.location(key), old); err != nil {
				return nil, err
			}
			if r.BoundTimes != nil {
				r.BoundTimes(&st)
			}
		}
		base = st.Clone()
		st = r.Owed.add(owing, st)
		before := st.Clone()
		if err := fn(&st); err != nil {
			return nil, err
		}
		changed, wrong = true, countsMore(before, st)
		if (st.LockedHard || st.LockedUntil != nil) && st.Offline == nil && !a.isNoted() { // who is kept is noted
			if err := r.NoteUID(ctx, mfa.Identity{Name: user, UID: st.UID}); err != nil {
				return nil, err
			}
		}
		return record.EncodeState(user, st, r.Since)
	})
	switch {
	case err == nil:
		r.Owed.paid(owing, user, base, st)
	case changed && wrong && isOwed(err):
		r.Owed.owe(owing, base, st)
	}
	return st, err
}

// ResetUser deletes the enrollment and the state of user, even if they do not
// parse. It is no error when there are none. The enrollment goes first: were
// the work cut short, a code spent before would not become good again. Of the state
// a new epoch is left, so that what was seen before the time now is not built upon; and,
// if what they are of ever comes back, that an app's codes up to now count as used, which
// backup codes were used, that no other set of them counts, and how far tokens counted.
func (r Records) ResetUser(ctx context.Context, user string, now time.Time) error {
	was, err := r.Enrollment(ctx, user)
	known := err == nil
	if err := remove(ctx, r.S, store.Users+user); err != nil {
		return err
	}
	former, err := r.StoredState(ctx, user)
	if err != nil && !errors.Is(err, store.ErrUnreadable) {
		return err
	}
	if err == nil && was.Backup != nil && former.BackupID != was.Backup.ID && !factor.Forgotten(former, *was.Backup, now) {
		former.BackupID, former.BackupUsed = was.Backup.ID, nil // none was used yet
	}
	if former.UID == 0 && known {
		former.UID = was.UID
	}
	if was.Backup != nil {
		factor.NoteForeign(&former, *was.Backup)
	}
	if err := r.removeState(ctx, user); err != nil {
		return err
	}
	return r.UpdateState(ctx, user, func(st *mfa.State) error {
		st.UID, st.Epoch, st.SpentForeign = former.UID, former.Epoch, former.SpentForeign
		st.BackupID, st.BackupUsed, st.Tokens = former.BackupID, former.BackupUsed, former.Tokens
		st.Since = mfa.Later(st.Since, &now)
		st.NewEpoch(now)
		return nil
	})
}

// removeState deletes the state of user, and what is owed of them.
func (r Records) removeState(ctx context.Context, user string) error {
	owing, leave, err := r.Owed.enter(ctx, user)
	if err != nil {
		return err
	}
	defer leave()
	if err = remove(ctx, r.S, store.States+user); err == nil {
		r.Owed.drop(owing)
	}
	return err
}

// location names key in a message about its content.
func (r Records) location(key string) string {
	if l, ok := r.S.(store.Locator); ok {
		return l.Location(key)
	}
	return key
}

// tries bounds how often something is tried again after a conflict.
const tries = 1000
