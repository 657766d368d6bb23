package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// floorKey is where a store remembers when it was begun anew.
const floorKey = store.Meta + "floor"

type floorRecord struct {
	At time.Time `json:"at"`
}

// Floor returns when the store was begun anew by an administrator, or nil if it never was.
// It is not known which codes were used before.
func Floor(ctx context.Context, s store.Store) (*time.Time, error) {
	it, err := s.Get(ctx, floorKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f floorRecord
	if err := json.Unmarshal(it.Value, &f); err != nil {
		return nil, fmt.Errorf("parse %q: %w", floorKey, err)
	}
	return &f.At, nil
}

// SetFloor notes that the store is begun anew at the time now.
func SetFloor(ctx context.Context, s store.Store, now time.Time) error {
	return store.Update(ctx, s, floorKey, func([]byte) ([]byte, error) { return json.Marshal(floorRecord{now.UTC()}) })
}

// BeginAnew counts all that could have been used before the time now as used. What a
// policy that was off made void stays so, as far as the enrollments tell; there are
// enrolled of them, and log has those that cannot be read.
func (r Records) BeginAnew(ctx context.Context, now time.Time, log *slog.Logger) (enrolled int, err error) {
	generation := 0
	err = r.EachEnrollment(ctx, func(user string, en mfa.Enrollment, err error) error {
		if enrolled++; err != nil {
			log.Error("record cannot be read", "user", user, "error", err)
		}
		generation = max(generation, en.Generation)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := NoteGeneration(ctx, r.S, generation); err != nil {
		return 0, err
	}
	return enrolled, SetFloor(ctx, r.S, now)
}

// RestartState is UpdateState for a record that may be unreadable: then it writes a new
// State, of the time now, instead of calling fn, and returns true. All codes from before
// count as used in it.
func (r Records) RestartState(ctx context.Context, id mfa.Identity, now time.Time, fn func(*mfa.State) error) (restarted bool, err error) {
	for range tries {
		err := r.UpdateState(ctx, id.Name, fn)
		if !errors.Is(err, store.ErrUnreadable) {
			return false, err
		}
		it, err := r.S.Get(ctx, store.States+id.Name)
		if err != nil && !errors.Is(err, store.ErrUnreadable) {
			return false, err
		}
		if it.Value, err = record.EncodeState(id.Name, mfa.State{UID: id.UID, Since: &now}, nil); err != nil {
			return false, err
		}
		if _, err = r.S.Put(ctx, it); !errors.Is(err, store.ErrConflict) {
			return err == nil, err
		}
	}
	return false, fmt.Errorf("begin state of %q anew: %w %d times in a row", id.Name, store.ErrConflict, tries)
}

// remove deletes the item at key, whether it can be read or not. It is no error
// when there is none.
func remove(ctx context.Context, s store.Store, key string) error {
	for range tries {
		it, err := s.Get(ctx, key)
		if err == nil || errors.Is(err, store.ErrUnreadable) && it.Rev != 0 {
			err = s.Delete(ctx, it)
		}
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("remove %q: %w %d times in a row", key, store.ErrConflict, tries)
}
