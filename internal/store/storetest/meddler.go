package storetest

import (
	"context"
	"errors"

	"mfa/internal/store"
)

// A Meddler is a Memory that changes an item between every Get and Put of its caller, Left
// times.
type Meddler struct {
	Memory
	Left   int // how often it will
	Writes int // how many the caller tried
}

// Put implements store.Store.
func (m *Meddler) Put(ctx context.Context, it store.Item) (store.Item, error) {
	m.Writes++
	if m.Left > 0 {
		m.Left--
		other, err := m.Get(ctx, it.Key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Item{}, err
		}
		if _, err := m.Memory.Put(ctx, store.Item{Key: it.Key, Value: append(other.Value, 'm'), Rev: other.Rev}); err != nil {
			return store.Item{}, err
		}
	}
	return m.Memory.Put(ctx, it)
}
