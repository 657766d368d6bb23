package metrics

import (
	"context"
	"errors"
	"slices"
	"time"

	"mfa/internal/store"
)

// Operations of a store.
const (
	opGet    = "get"
	opPut    = "put"
	opDelete = "delete"
	opKeys   = "keys"

	opConfirm = "confirm"
)

// Store returns s with the duration and the errors of each operation counted. It
// implements store.Locator: by s if that one does, else a key is its own location.
func (m *Metrics) Store(s store.Store) store.Store {
	if c, is := s.(store.Cacher); is {
		return countedCacher{countedStore{s, m}, c}
	}
	return countedStore{s, m}
}

// A countedCacher is a countedStore that may answer from memory.
type countedCacher struct {
	countedStore
	c store.Cacher
}

// Scan implements store.Cacher.
func (c countedCacher) Scan(ctx context.Context, prefix string, fn func(store.Item, error) error) error {
	began := time.Now()
	err := c.c.Scan(ctx, prefix, fn)
	c.done(opKeys, began, err)
	return err
}

// Confirm implements store.Cacher.
func (c countedCacher) Confirm(ctx context.Context) error {
	began := time.Now()
	err := c.c.Confirm(ctx)
	c.done(opConfirm, began, err)
	return err
}

type countedStore struct {
	s store.Store
	m *Metrics
}

// answers are errors of a store that works, or that was told to stop. They are not
// counted.
var answers = []error{store.ErrNotFound, store.ErrConflict, store.ErrStale, context.Canceled}

// done counts one operation.
func (c countedStore) done(op string, began time.Time, err error) {
	c.m.storeTime.WithLabelValues(op).Observe(time.Since(began).Seconds())
	if err != nil && !slices.ContainsFunc(answers, func(a error) bool { return errors.Is(err, a) }) {
		c.m.storeErrors.WithLabelValues(op).Inc()
	}
}

// Get implements store.Store.
func (c countedStore) Get(ctx context.Context, key string) (store.Item, error) {
	began := time.Now()
	it, err := c.s.Get(ctx, key)
	c.done(opGet, began, err)
	return it, err
}

// Put implements store.Store.
func (c countedStore) Put(ctx context.Context, it store.Item) (store.Item, error) {
	began := time.Now()
	it, err := c.s.Put(ctx, it)
	c.done(opPut, began, err)
	return it, err
}

// Delete implements store.Store.
func (c countedStore) Delete(ctx context.Context, it store.Item) error {
	began := time.Now()
	err := c.s.Delete(ctx, it)
	c.done(opDelete, began, err)
	return err
}

// Keys implements store.Store.
func (c countedStore) Keys(ctx context.Context, prefix string) ([]string, error) {
	began := time.Now()
	keys, err := c.s.Keys(ctx, prefix)
	c.done(opKeys, began, err)
	return keys, err
}

// Location implements store.Locator.
func (c countedStore) Location(key string) string {
	if l, ok := c.s.(store.Locator); ok {
		return l.Location(key)
	}
	return key
}
