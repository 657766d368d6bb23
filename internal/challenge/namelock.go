package challenge

import (
	"context"
	"fmt"
	"sync"
)

// nameLocks is a mutex for each name. The zero value is ready, and may be used from many
// goroutines.
type nameLocks struct {
	mu    sync.Mutex // guards what follows
	queue map[string]*nameLock
}

// A nameLock is the mutex of one name.
type nameLock struct {
	held chan struct{} // room for the holder
	used int           // holder and waiting; guarded by nameLocks.mu
}

// take locks the name until leave is called. It waits at most as long as ctx lasts.
func (t *nameLocks) lock(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	if t.queue == nil {
		t.queue = map[string]*nameLock{}
	}
	own := t.queue[name]
	if own == nil {
		own = &nameLock{held: make(chan struct{}, 1)}
		t.queue[name] = own
	}
	own.used++
	t.mu.Unlock()
	drop := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.used--; own.used == 0 {
			delete(t.queue, name)
		}
	}
	select {
	case own.held <- struct{}{}:
		return func() { <-own.held; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, fmt.Errorf("wait for the other answers of %q: %w", name, context.Cause(ctx))
	}
}
