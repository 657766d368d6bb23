package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mfa/internal/store"
)

// Memory is a store.Store in memory, for tests of what uses a store. The zero Memory is
// empty and ready.
type Memory struct {
	mu    sync.Mutex // guards all below
	items map[string]store.Item
	rev   uint64 // the last one given
	err   error  // what every call returns, if not nil
}

// Fail makes every later call return err, as a store that cannot be reached
// does; nil ends that.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Get implements store.Store.
func (m *Memory) Get(ctx context.Context, key string) (store.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuse(ctx, key); err != nil {
		return store.Item{}, err
	}
	it, ok := m.items[key]
	if !ok {
		return store.Item{}, fmt.Errorf("get %q: %w", key, store.ErrNotFound)
	}
	it.Value = bytes.Clone(it.Value)
	return it, nil
}

// Put implements store.Store.
func (m *Memory) Put(ctx context.Context, it store.Item) (store.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuse(ctx, it.Key); err != nil {
		return store.Item{}, err
	}
	if m.items[it.Key].Rev != it.Rev {
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, store.ErrConflict)
	}
	if m.items == nil {
		m.items = map[string]store.Item{}
	}
	m.rev++
	it.Rev = m.rev
	m.items[it.Key] = store.Item{Key: it.Key, Value: append([]byte{}, it.Value...), Rev: it.Rev}
	return it, nil
}

// Delete implements store.Store.
func (m *Memory) Delete(ctx context.Context, it store.Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuse(ctx, it.Key); err != nil {
		return err
	}
	old, ok := m.items[it.Key]
	if !ok {
		return fmt.Errorf("delete %q: %w", it.Key, store.ErrNotFound)
	}
	if old.Rev != it.Rev {
		return fmt.Errorf("delete %q: %w", it.Key, store.ErrConflict)
	}
	delete(m.items, it.Key)
	return nil
}

// Keys implements store.Store.
func (m *Memory) Keys(ctx context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuse(ctx, store.Users+"x"); err != nil {
		return nil, err
	}
	var keys []string
	for key := range m.items {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// refuse returns why a call about key fails before it begins. m.mu is held.
func (m *Memory) refuse(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, head := range []string{store.Users, store.States, store.Meta} {
		if len(key) > len(head) && strings.HasPrefix(key, head) {
			return m.err
		}
	}
	return fmt.Errorf("no such key %q", key)
}
