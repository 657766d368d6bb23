package store

import (
	"context"
	"errors"
	"maps"
	"sync"
)

// ErrStale means that what a conversation read before is not stored so any more, and that
// it did not read it again since. It begins anew.
var ErrStale = errors.New("what was read before is not so any more")

// A Cacher is a Store that may answer from memory where ctx has a View. Such an answer may
// be old, so it decides nothing alone: Put and Delete with that ctx fail, as Confirm does,
// unless all that the View saw is stored so.
type Cacher interface {
	Store
	// Confirm returns nil if all that the View of ctx saw is stored so now. It asks the
	// store if anything was read from memory since the last time. The error wraps
	// ErrConflict if something is not, which Get returns as it is from then on; and
	// ErrStale if that was not read again since.
	Confirm(ctx context.Context) error
	// Scan calls fn for each item whose key begins with prefix, in order, with what kept it
	// from being read. It ends at the first error of fn, and returns it.
	Scan(ctx context.Context, prefix string, fn func(it Item, err error) error) error
}

// A View is what a conversation has read, by key, and not yet found confirmed by the
// store. It may be used from many goroutines.
type View struct {
	mu   sync.Mutex           // guards seen
	seen map[string]*Sighting // by key
}

// A Sighting is one item of a View.
type Sighting struct {
	Rev   uint64 // 0: there was none
	Sure  bool   // the store itself said so when it was read, or since
	Stale bool   // it is not so any more
}

type viewKey struct{}

// WithView returns ctx with a View: with it a Cacher may answer from memory. What is
// decided by such answers has to be confirmed, by Confirm or by a write with that ctx. If
// ctx has a View already, it is kept.
func WithView(ctx context.Context) context.Context {
	if ViewOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, viewKey{}, &View{seen: map[string]*Sighting{}})
}

// WithoutView returns ctx without a View: the store is asked each time.
func WithoutView(ctx context.Context) context.Context {
	if ViewOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, viewKey{}, (*View)(nil))
}

// ViewOf returns the View of ctx, nil if it has none.
func ViewOf(ctx context.Context) *View {
	v, _ := ctx.Value(viewKey{}).(*View)
	return v
}

// Saw notes that key was read at rev just now. Sure says that the store itself was asked,
// whatever was known of it before.
func (v *View) Saw(key string, rev uint64, sure bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen[key] = &Sighting{Rev: rev, Sure: sure}
}

// Spoil notes that what was seen of key is not so any more.
func (v *View) Spoil(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.seen[key]; s != nil {
		s.Stale, s.Sure = true, false
	}
}

// Forget drops key: nothing depends on it any more.
func (v *View) Forget(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.seen, key)
}

// Seen returns a copy of what was seen, by key.
func (v *View) Seen() map[string]Sighting {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make(map[string]Sighting, len(v.seen))
	for key, s := range maps.All(v.seen) {
		all[key] = *s
	}
	return all
}

// Each is Cacher.Scan for any Store: one that is no Cacher is asked for one item after
// another.
func Each(ctx context.Context, s Store, prefix string, fn func(it Item, err error) error) error {
	if c, is := s.(Cacher); is {
		return c.Scan(ctx, prefix, fn)
	}
	keys, err := s.Keys(ctx, prefix)
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		it, err := s.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			continue // since the list was made
		}
		it.Key = key
		if err := fn(it, err); err != nil {
			return err
		}
	}
	return err
}

// Confirm is that of s if it is a Cacher. What any other Store returns needs none.
func Confirm(ctx context.Context, s Store) error {
	if c, is := s.(Cacher); is {
		return c.Confirm(ctx)
	}
	return nil
}
