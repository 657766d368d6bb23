package history

import (
	"slices"
	"sync"
)

// A Recorder notes operations while they happen. Its methods may be called from many
// goroutines. The zero value is ready.
type Recorder struct {
	mu   sync.Mutex   // guards all below
	now  int64        // the last moment that was given out
	all  []*Operation // since the last Take, in the order of their calls
	open int          // of those, how many have not ended
}

// Begin notes that a client is about to try an action on a user, and returns what notes the
// end. Call one of that's methods, once.
func (r *Recorder) Begin(client int, user string, a Action) *Running {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now++
	o := &Operation{Client: client, User: user, Action: a, Call: r.now, Return: Never}
	r.all = append(r.all, o)
	r.open++
	return &Running{r: r, o: o}
}

// Running is an operation that has not ended.
type Running struct {
	r *Recorder
	o *Operation
}

// End notes the outcome. With Unknown the operation can not happen any more: the daemon is
// dead, or has forgotten it.
func (c *Running) End(o Outcome) { c.note(o, false) }

// Was says what the action turned out to be, before its end. A code that was typed too late is
// a Guess.
func (c *Running) Was(a Action) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.o.Action = a
}

// Lost notes that nobody will hear of the operation, and that it may still happen.
func (c *Running) Lost() { c.note(Unknown, true) }

func (c *Running) note(o Outcome, lost bool) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.now++
	c.r.open--
	c.o.Outcome = o
	if !lost {
		c.o.Return = c.r.now
	}
}

// Take returns what was noted since it was called last. It returns nothing while an operation
// has not ended: a Checker has to know how they all end.
func (r *Recorder) Take() (all []Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open > 0 {
		return nil
	}
	for _, o := range r.all {
		all = append(all, *o)
	}
	r.all = nil
	return slices.Clip(all)
}
