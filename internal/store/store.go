// Package store is where enrollments and states are kept: the interface every
// store meets, and the compare-and-swap loop over it. It knows keys and bytes, not users.
//
// What to know before trusting it: a Put that returned is durable; a Put races
// with nobody, because it names the revision it replaces.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Key spaces. A key is one of these followed by a name, for users the canonical
// user name, unescaped.
const (
	Users  = "users/" // enrollments: what people decided, TOML
	States = "state/" // what logins count and spend, JSON
	Meta   = "meta/"  // about the store itself
)

var (
	// ErrNotFound means that no item has that key.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the item changed since it was read.
	ErrConflict = errors.New("changed by someone else")
)

// An Item is one record. Rev is the store's own mark of this very content: it
// is zero only for an item that does not exist yet, and callers compare it with
// nothing.
type Item struct {
	Key   string
	Value []byte
	Rev   uint64
}

// Store keeps items. All methods may be called from many goroutines, and the
// slices given to and taken from them belong to the caller afterwards.
// Errors other than the two above mean that the store could not say: a caller
// refuses, it does not assume absence.
type Store interface {
	// Get returns the item at key, or an error wrapping ErrNotFound. With one
	// wrapping ErrUnreadable it returns Key and Rev, for Put and Delete.
	Get(ctx context.Context, key string) (Item, error)
	// Put writes it if the item stored at it.Key still has it.Rev (0: does not
	// exist), and returns it with its new Rev, else an error wrapping
	// ErrConflict. The write is durable when Put returns nil.
	Put(ctx context.Context, it Item) (Item, error)
	// Delete removes the item if it still has it.Rev, else an error wrapping
	// ErrConflict; ErrNotFound if there is none. Durable like Put.
	Delete(ctx context.Context, it Item) error
	// Keys returns the keys that begin with prefix, sorted.
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// A Locator is a Store that can say where it keeps an item, so that a message
// names the file an administrator has to mend.
type Locator interface {
	// Location returns the place of key for people, such as a path. The item
	// need not exist.
	Location(key string) string
}

// updateTries bounds Update. Every round somebody else's write won, so the
// bound is the number of writers that one waiting decision can lose against.
const updateTries = 1000

// Update replaces the value at key by fn(old), in a loop until nobody came in
// between. fn gets nil when there is no item; it may run several times, so it
// has no effect but its results. If fn returns nil the item is deleted, if it
// returns old unchanged nothing is written, and if it returns an error nothing
// is written and Update returns that error.
func Update(ctx context.Context, s Store, key string, fn func(old []byte) ([]byte, error)) error {
	for range updateTries {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("update %q: %w", key, err)
		}
		it, err := s.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			it = Item{Key: key}
		} else if err != nil {
			return err
		}
		value, err := fn(bytes.Clone(it.Value))
		if err != nil {
			return err
		}
		switch {
		case value == nil && it.Rev == 0, it.Rev != 0 && value != nil && bytes.Equal(value, it.Value):
			return nil
		case value == nil:
			err = s.Delete(ctx, it)
		default:
			it.Value = value
			_, err = s.Put(ctx, it)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return fmt.Errorf("update %q: %w %d times in a row", key, ErrConflict, updateTries)
}
