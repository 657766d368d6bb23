package local

import (
	"context"
	"os"
	"slices"
	"sync"
)

// A request is one write on its way: the swap of a record, and its result, which may be
// read after a value came from turn.
type request struct {
	at    spot
	rev   uint64 // the record as the caller knows it
	value []byte // nil: remove it

	job func() error // not nil: this instead, with no other write under way

	newRev uint64
	err    error
	turn   chan struct{} // gets one value: the result is there, or this one leads
	leads  bool          // guarded by queue.mu
}

// One batch takes no more than this, so that it fits into a file of the log.
const (
	maxBatch      = 512
	maxBatchBytes = 512 << 10
)

// A queue has the writes that wait. The goroutine of the first one leads: it carries out
// all that wait with it, and then hands the lead to the first that came meanwhile. So 64
// writes cost one sync, and a single one does not wait.
type queue struct {
	mu      sync.Mutex // guards what follows, and leads of all requests
	waiting []*request
	leading bool // a goroutine leads, or was called to
	closed  bool
	idle    sync.Cond // on mu: leading ended
}

// wait returns whether the caller has to lead: carry out batches that take returns, its own
// request among them, and then call handOver. Else the result of r is there. If ctx ends
// before r was taken, r is withdrawn, and the error is that of ctx.
func (q *queue) wait(ctx context.Context, r *request) (leads bool, err error) {
	r.turn = make(chan struct{}, 1)
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false, os.ErrClosed
	}
	q.waiting = append(q.waiting, r)
	leads, q.leading = !q.leading, true
	r.leads = leads
	q.mu.Unlock()
	if leads {
		return true, nil
	}
	select {
	case <-r.turn:
	case <-ctx.Done():
		if q.withdraw(r) {
			return false, ctx.Err()
		}
		<-r.turn
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return r.leads, nil
}

// withdraw removes r from the queue, and reports whether it was still there. If r was
// called to lead, the next one is.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, r)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	if r.leads {
		q.next()
	}
	return true
}

// take removes and returns the requests to carry out together: one job, or writes.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for _, r := range q.waiting {
		size += len(r.value)
		if n > 0 && (r.job != nil || q.waiting[0].job != nil || n == maxBatch || size > maxBatchBytes) {
			break
		}
		n++
	}
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// handOver tells all of batch but leader that their result is there, and calls the next to
// lead.
func (q *queue) handOver(batch []*request, leader *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range batch {
		if r != leader {
			r.turn <- struct{}{}
		}
	}
	q.next()
}

// next calls the first that waits to lead. The caller holds mu.
func (q *queue) next() {
	if len(q.waiting) == 0 {
		q.leading = false
		q.idle.Broadcast()
		return
	}
	q.waiting[0].leads = true
	q.waiting[0].turn <- struct{}{}
}

// shut refuses further requests, and returns when the waiting ones are carried out.
func (q *queue) shut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.leading {
		q.idle.Wait()
	}
}
