// Package store has the interface of a store of enrollments and states, and the
// compare-and-swap loop over it. It knows keys and bytes, not users.
//
// What to know before trusting it: a Put that returned nil is durable, and it replaces
// only the revision that it names, so no write in between is lost.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
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
	// ErrUnreachable means that the store of a fleet gave no answer, or none in time.
	ErrUnreachable = errors.New("etcd cannot be reached")

	// ErrForgot means that the store of a fleet does not have any more what it had: it was
	// restored from a copy, or is another one. From then on nothing that it says counts.
	ErrForgot = errors.New("etcd is not what it was")
)

// An Item is one record. Rev is the store's own mark of this content. It is zero only for
// an item that does not exist yet; callers must not interpret it.
type Item struct {
	Key   string
	Value []byte
	Rev   uint64
}

// Store keeps items. All methods may be called from many goroutines, and the
// slices given to and returned by them belong to the caller afterwards. Any error that
// wraps none of ErrNotFound, ErrConflict, ErrStale and ErrUnreadable means that the store
// could not answer. Only ErrNotFound says that there is no item: after any other error a
// caller must refuse, or read again, and not assume that.
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
	// need not exist. It may be called from many goroutines.
	Location(key string) string
}

// updateTries bounds Update. In each round another write won, so it is the number of
// writes that one Update can lose against.
const updateTries = 1000

// Update replaces the value at key by fn(old), again until no other write came in
// between. fn gets nil when there is no item; it may run several times, so it must
// have no effect but its results. If fn returns nil the item is deleted, if it
// returns old unchanged nothing is written, and if it returns an error nothing
// is written and Update returns that error. The change is durable when Update returns nil.
//
// With a Cacher old may be from memory; the result of fn counts only if the store says
// that it was stored so, and all that the View of ctx saw. Then fn that wrote nothing
// costs a question to the store.
func Update(ctx context.Context, s Store, key string, fn func(old []byte) ([]byte, error)) error {
	ctx = WithView(ctx)
	defer ViewOf(ctx).Forget(key)
	for tried := range updateTries {
		if err := pause(ctx, s, tried); err != nil {
			return fmt.Errorf("update %q: %w", key, err)
		}
		it, err := s.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			it = Item{Key: key}
		} else if err != nil {
			return err
		}
		value, refused := fn(bytes.Clone(it.Value))
		switch {
		case refused != nil, value == nil && it.Rev == 0, it.Rev != 0 && value != nil && bytes.Equal(value, it.Value):
			if err = Confirm(ctx, s); err == nil {
				return refused
			}
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

// From the patience-th conflict on, writers on other hosts are let go first.
const (
	patience  = 2
	longPause = 100 * time.Millisecond
)

// pause waits before the next round of an Update. Many hosts that want the same item at
// once would otherwise each ask the store again and again, for one of them to win.
func pause(ctx context.Context, s Store, tried int) error {
	if _, shared := s.(Cacher); !shared || tried < patience {
		return ctx.Err()
	}
	wait := time.NewTimer(rand.N(min(longPause, time.Millisecond<<min(tried, 10))))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
