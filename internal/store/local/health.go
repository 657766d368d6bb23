package local

import (
	"fmt"
	"sync"
)

// A health holds the error of the last write. It may be used from many goroutines.
type health struct {
	mu  sync.Mutex // guards err
	err error      // nil: it went well
}

// wrote notes the outcome of a write.
func (h *health) wrote(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = nil
	if err != nil {
		h.err = fmt.Errorf("the last write failed: %w", err)
	}
}

// last returns the error of the last write.
func (h *health) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// check returns the error of the last write. If it failed, it calls probe to write once
// more; if that goes well there is no error.
func (h *health) check(probe func() error) error {
	if h.last() != nil && probe() == nil {
		h.wrote(nil)
	}
	return h.last()
}
