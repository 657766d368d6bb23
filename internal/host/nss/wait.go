package nss

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Patience is how long a look-up is waited for. A directory that takes longer is
// taken for one that does not answer.
const Patience = 30 * time.Second

// maxAtOnce bounds how many look-ups are in libc at once. Each holds a thread until its
// source answers, even if no caller waits any more.
const maxAtOnce = 256

var (
	errSlow = errors.New("NSS does not answer: is the directory or its daemon down?")
	errFull = errors.New("NSS does not answer: too many look-ups wait for it already")
)

// A flight is one look-up in libc. Its outcome may be read once done is closed.
type flight struct {
	done  chan struct{}
	value any
	err   error
}

var (
	mu      sync.Mutex             // guards flights
	flights = map[string]*flight{} // under way, by what is looked up
	slots   = make(chan struct{}, maxAtOnce)
)

// wait returns the result of look, or an error if ctx ends or Patience is over before.
// Callers that look up the same thing share one look-up: a source that hangs holds one
// thread for a name.
func wait[T any](ctx context.Context, what string, look func() (T, error)) (T, error) {
	var none T
	late := time.NewTimer(Patience)
	defer late.Stop()
	f := join(what, func() (any, error) { return look() })
	select {
	case <-f.done:
		value, _ := f.value.(T)
		return value, f.err
	case <-late.C:
		return none, errSlow
	case <-ctx.Done():
		return none, fmt.Errorf("given up: %w", context.Cause(ctx))
	}
}

// join returns the flight that looks for what, and begins it if there is none.
func join(what string, look func() (any, error)) *flight {
	mu.Lock()
	defer mu.Unlock()
	f := flights[what]
	if f != nil {
		return f
	}
	f = &flight{done: make(chan struct{})}
	flights[what] = f
	go func() {
		f.value, f.err = inSlot(look)
		mu.Lock()
		delete(flights, what)
		mu.Unlock()
		close(f.done)
	}()
	return f
}

// inSlot runs look as soon as there is a slot.
func inSlot(look func() (any, error)) (any, error) {
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
		return look()
	case <-late.C:
		return nil, errFull
	}
}
