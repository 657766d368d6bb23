package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"mfa/internal/mfa"
)

// ErrClosed is wrapped by the error of a message that was under way when its Queue or its
// carrier closed, or that came after. It wraps ErrPermanent.
var ErrClosed = Permanent(errors.New("the carrier is shut down"))

// A Queue sends messages in the background, so that a slow relay delays no prompt, and
// a message outlives the login that asked for it. It may be used from many goroutines; it
// owns those that send, one for each message.
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

// Follow makes Lost call lost, at most once, if the carrier that took the message with
// that ID says within about ten minutes that it did not arrive.
func (q *Queue) Follow(id string, lost func(error)) {
	q.followed.Store(id, lost)
	time.AfterFunc(followFor, func() { q.followed.Delete(id) })
}

// Lost says that the message with that ID did not arrive; see Follow.
func (q *Queue) Lost(id string, err error) {
	if lost, ok := q.followed.LoadAndDelete(id); ok {
		lost.(func(error))(err)
	}
}

// textPatience is how long a text message or a call is tried before its code goes by email,
// while the person still waits.
const textPatience = 15 * time.Second

// NewQueue returns a queue that gives each message the timeout, retries included, and a
// text message or a call no more than textPatience of it.
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

// Done returns a channel that is closed when the next hop took the message, or it was given
// up.
func (s *Sending) Done() <-chan struct{} { return s.done }

// Err returns why the message was given up; nil while it is under way and once it was taken.
func (s *Sending) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Send starts sending m and returns at once. At the end it calls after, in another
// goroutine, with the next hop's name of the message, if it gave one, and the error; then
// Done is closed. After may be nil. On a closed queue, after is called before Send returns.
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
			timeout := q.timeout
			if m.Carrier.Rings() {
				timeout = min(timeout, textPatience)
			}
			ctx, cancel := context.WithTimeout(q.ctx, timeout)
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

// Close takes no more messages and waits for those under way. When ctx ends it gives up
// on them.
func (q *Queue) Close(ctx context.Context) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { q.cancel(ErrClosed) })
	defer stop()
	q.wg.Wait()
	q.cancel(ErrClosed)
}
