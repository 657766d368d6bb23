package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"mfa/internal/mfa"
)

// ErrClosed is wrapped by the error of a message that was on its way, or handed
// over, when its Queue or its carrier closed. It is permanent.
var ErrClosed = Permanent(errors.New("the carrier is shut down"))

// A Queue sends messages in the background, so that a slow relay delays nobody's
// prompt, and a message outlives the login that asked for it. It may be used
// from many goroutines; it owns those that send.
type Queue struct {
	sender  Sender
	timeout time.Duration
	ctx     context.Context // ends when the queue gives up on what is under way
	cancel  context.CancelCauseFunc

	mu     sync.Mutex // guards closed, and wg against Add after Wait
	closed bool
	wg     sync.WaitGroup

	followed sync.Map // message IDs, each with a func(error)
}

// followFor is how long a carrier may still say that a message did not arrive.
const followFor = 11 * time.Minute

// Follow has lost called, at most once, when the carrier that took the message
// named id says, within about ten minutes, that it did not arrive.
func (q *Queue) Follow(id string, lost func(error)) {
	q.followed.Store(id, lost)
	time.AfterFunc(followFor, func() { q.followed.Delete(id) })
}

// Lost tells who follows the message named id that it did not arrive.
func (q *Queue) Lost(id string, err error) {
	if lost, ok := q.followed.LoadAndDelete(id); ok {
		lost.(func(error))(err)
	}
}

// NewQueue returns a queue that gives each message the timeout, retries included.
func NewQueue(s Sender, timeout time.Duration) *Queue {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Queue{sender: s, timeout: timeout, ctx: ctx, cancel: cancel}
}

// A Sending is one message under way.
type Sending struct {
	done    chan struct{}
	err     error  // valid once done is closed, and when after runs
	receipt string // likewise
}

// Done is closed when the message was taken by the next hop, or given up.
func (s *Sending) Done() <-chan struct{} { return s.done }

// Err returns nil while the message is under way and when it was taken.
func (s *Sending) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Send starts sending m and returns at once. When it ends, after is called with
// what the next hop calls the message, if it says so, and the error; then Done is
// closed. After may be nil.
func (q *Queue) Send(m mfa.Message, after func(receipt string, err error)) *Sending {
	s := &Sending{done: make(chan struct{})}
	finish := func(err error) {
		s.err = err
		if after != nil {
			after(s.receipt, err)
		}
		close(s.done)
	}
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.wg.Go(func() {
			ctx, cancel := context.WithTimeout(q.ctx, q.timeout)
			defer cancel()
			finish(q.sender.Send(WithReceipt(ctx, &s.receipt), m))
		})
	}
	q.mu.Unlock()
	if closed {
		finish(ErrClosed)
	}
	return s
}

// Close takes no more messages and waits for those under way until ctx ends;
// then it gives up on them.
func (q *Queue) Close(ctx context.Context) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { q.cancel(ErrClosed) })
	defer stop()
	q.wg.Wait()
	q.cancel(ErrClosed)
}
