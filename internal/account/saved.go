package account

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// Saved returns the records of user, not parsed, so that a broken one is saved as it is.
// The state is read after the enrollment and before a change of it, so no use of a code
// of the enrollment is missing.
func (r Records) Saved(ctx context.Context, user string) (wire.Saved, error) {
	for range tries {
		en, err := r.get(ctx, store.Users+user)
		if err != nil {
			return wire.Saved{}, err
		}
		st, err := r.get(ctx, store.States+user)
		if err != nil {
			return wire.Saved{}, err
		}
		again, err := r.get(ctx, store.Users+user)
		if err != nil {
			return wire.Saved{}, err
		}
		if again.Rev == en.Rev {
			return wire.Saved{User: user, Enrollment: string(en.Value), State: st.Value}, nil
		}
	}
	return wire.Saved{}, fmt.Errorf("save %q: %w %d times in a row", user, store.ErrConflict, tries)
}

// get returns the item, or an empty one if there is none.
func (r Records) get(ctx context.Context, key string) (store.Item, error) {
	it, err := r.S.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Item{Key: key}, nil
	}
	return it, err
}

// ParseSaved parses saved records. A record that was not there is the zero value. The
// error wraps store.ErrUnreadable if one does not parse.
func ParseSaved(s wire.Saved) (mfa.Enrollment, mfa.State, error) {
	var en mfa.Enrollment
	var st mfa.State
	if s.Problem != "" {
		return en, st, fmt.Errorf("the record of %q could not be read when it was saved: %s", s.User, s.Problem)
	}
	var err error
	if s.Enrollment != "" {
		en, err = record.DecodeEnrollment("saved enrollment of "+s.User, []byte(s.Enrollment))
	}
	if err == nil && len(s.State) > 0 {
		st, err = record.DecodeState("saved state of "+s.User, s.State)
	}
	return en, st, err
}

// ReplaceEnrollment is UpdateEnrollment for a fn that returns the new enrollment. A
// record that does not parse is the zero Enrollment to fn, and is replaced.
func (r Records) ReplaceEnrollment(ctx context.Context, user string, fn func(live mfa.Enrollment) (mfa.Enrollment, error)) error {
	key := store.Users + user
	return store.Update(ctx, r.S, key, func(old []byte) ([]byte, error) {
		var live mfa.Enrollment
		broken := false
		if old != nil {
			var err error
			if live, err = record.DecodeEnrollment(r.location(key), old); err != nil {
				live, broken = mfa.Enrollment{}, true
			}
		}
		before, err := record.EncodeEnrollment(user, live)
		if err != nil {
			return nil, err
		}
		next, err := fn(live)
		if err != nil {
			return nil, err
		}
		after, err := record.EncodeEnrollment(user, next)
		if err == nil && !broken && bytes.Equal(before, after) {
			return old, nil
		}
		return after, cmp.Or(err, r.NoteUID(ctx, mfa.Identity{Name: user, UID: next.UID}))
	})
}
