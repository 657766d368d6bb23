package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"mfa/internal/store"
)

// contactKey is where it is noted when etcd was heard of last.
const contactKey = store.Meta + "contact"

// noteEvery is how often that is noted. After a crash etcd counts as heard of for so much
// longer.
const (
	noteEvery = time.Minute
	noteLate  = 10 * time.Second // or so much later
)

// A contact knows when etcd was heard of last. It may be used from many goroutines.
type contact struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	was   noted
	known bool  // it was heard of ever
	alive bool  // it was heard of by this process
	fresh bool  // it was heard of since silent was called
	noted noted // on the disk
	wrong error // etcd is not what it was: nothing counts until a restart
}

// noted is a contact as it is stored.
type noted struct {
	Heard      time.Time `json:"heard"`           // etcd answered
	True       time.Time `json:"true"`            // all that is kept was as the fleet had it
	Exact      bool      `json:"exact,omitempty"` // etcd did not answer after Heard
	Generation int       `json:"generation"`      // how often everybody had to enroll anew
}

// read reads what is noted.
func (c *contact) read(ctx context.Context, s store.Store) error {
	it, err := s.Get(ctx, contactKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var n noted
	if err == nil {
		if err = json.Unmarshal(it.Value, &n); err != nil {
			err = fmt.Errorf("parse %q: %w", contactKey, err)
		}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.was, c.noted, c.known = n, n, true
	return nil
}

// note notes the contact, if there is news of it. Exact says that there will be none any more.
func (c *contact) note(ctx context.Context, s store.Store, exact bool) error {
	c.mu.Lock()
	is, known := c.was, c.known
	is.Exact = exact || c.was.Exact
	same := is == c.noted || !known
	c.mu.Unlock()
	if same {
		return nil
	}
	err := store.Update(ctx, s, contactKey, func([]byte) ([]byte, error) { return json.Marshal(is) })
	if err != nil {
		return fmt.Errorf("note when etcd was heard of: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted = is
	return nil
}

// heard takes in that etcd answered. True says that all that is kept is as the fleet has it.
func (c *contact) heard(isTrue bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.alive, c.fresh = true, true, true
	c.was.Heard, c.was.Exact = now, false
	if isTrue {
		c.was.True = now
	}
}

// silent says whether etcd was not heard of since the last call.
func (c *contact) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.fresh
	c.fresh = false
	return !was
}

// last returns up to when etcd may have been heard of, and whether it ever was.
func (c *contact) last() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.was.Heard
	if !c.alive && !c.was.Exact { // by a daemon that crashed
		at = at.Add(noteEvery + noteLate)
	}
	return at, c.known && !c.was.True.IsZero()
}

// isBefore says whether now is before etcd was heard of for sure.
func (c *contact) isBefore(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Before(c.was.Heard)
}

// trueAt returns when all that is kept was as the fleet had it.
func (c *contact) trueAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.was.True
}

// generation returns the newest that setGeneration was told.
func (c *contact) generation() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.was.Generation
}

func (c *contact) setGeneration(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.was.Generation = n
}

// distrust takes in that etcd is not what it was (store.ErrForgot), which err says.
func (c *contact) distrust(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = err
}

// distrusted returns what distrust was told, nil if nothing.
func (c *contact) distrusted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrong
}
