package local

import (
	"fmt"
	"sync"
)

// A health is how the last write went.
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

// check returns the error of the last write. If it failed, probe writes once more
// before, and what it says counts if it is good.
func (h *health) check(probe func() error) error {
	if h.last() != nil && probe() == nil {
		h.wrote(nil)
	}
	return h.last()
}
