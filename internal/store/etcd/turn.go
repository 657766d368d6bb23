package etcd

import (
	"context"
	"sync"
)

// turns lets the writes of one key go one after another within this process. Of many at
// once only one could win, and each of the others would ask etcd in vain. The zero value
// is ready.
type turns struct {
	mu      sync.Mutex // guards waiting
	waiting map[string]*turn
}

type turn struct {
	held chan struct{} // full while somebody has the turn
	want int           // how many have it or wait
}

// enter waits for the turn of key, until leave is called.
func (t *turns) enter(ctx context.Context, key string) (leave func(), err error) {
	t.mu.Lock()
	if t.waiting == nil {
		t.waiting = map[string]*turn{}
	}
	mine := t.waiting[key]
	if mine == nil {
		mine = &turn{held: make(chan struct{}, 1)}
		t.waiting[key] = mine
	}
	mine.want++
	t.mu.Unlock()
	gone := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.want--; mine.want == 0 {
			delete(t.waiting, key)
		}
	}
	select {
	case mine.held <- struct{}{}:
		return func() { <-mine.held; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
