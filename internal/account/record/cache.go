package record

import (
	"sync"

	"mfa/internal/mfa"
)

const (
	// maxCached bounds the enrollments in a Cache, and maxText the text of each,
	// in bytes.
	maxCached = 4096
	maxText   = 2 << 10
)

// A Cache decodes enrollments and remembers the results. An entry is used only for exactly
// the same bytes. A nil Cache caches nothing. It may be used from many goroutines.
type Cache struct {
	mu sync.RWMutex       // guards of
	of map[string]*cached // by place
}

// A cached is one enrollment. It never changes.
type cached struct {
	text string
	en   mfa.Enrollment
}

// NewCache returns an empty Cache.
func NewCache() *Cache { return &Cache{of: map[string]*cached{}} }

// DecodeEnrollment is the function of that name. The caller may change the result.
func (c *Cache) DecodeEnrollment(place string, data []byte) (mfa.Enrollment, error) {
	if c == nil {
		return DecodeEnrollment(place, data)
	}
	c.mu.RLock()
	was := c.of[place]
	c.mu.RUnlock()
	if was != nil && was.text == string(data) {
		return was.en.Clone(), nil
	}
	en, err := DecodeEnrollment(place, data)
	if err == nil && len(data) <= maxText {
		c.keep(place, &cached{string(data), en.Clone()})
	}
	return en, err
}

func (c *Cache) keep(place string, en *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, has := c.of[place]; !has && len(c.of) >= maxCached {
		for other := range c.of { // any one
			delete(c.of, other)
			break
		}
	}
	c.of[place] = en
}
