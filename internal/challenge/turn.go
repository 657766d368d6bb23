package challenge

import (
	"context"
	"fmt"
	"sync"
)

// turns is a mutex for each name. The zero value is ready, and may be used from many
// goroutines.
type turns struct {
	mu    sync.Mutex // guards what follows
	queue map[string]*turn
}

// A turn is the mutex of one name.
type turn struct {
	held chan struct{} // room for the holder
	used int           // holder and waiting; guarded by the turns' mu
}

// take locks the name until leave is called. It waits at most as long as ctx lasts.
func (t *turns) take(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	if t.queue == nil {
		t.queue = map[string]*turn{}
	}
	own := t.queue[name]
	if own == nil {
		own = &turn{held: make(chan struct{}, 1)}
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
