package smtp

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"mfa/internal/deliver"

	"github.com/wneessen/go-mail/smtp"
)

const (
	// maxConns bounds the connections to the relay. Mail systems limit what
	// one client opens at once; four carry a thousand messages in seconds.
	maxConns = 4
	// idleFor is how long a connection waits for the next message. Relays hang
	// up after five minutes (RFC 5321, 4.5.3.2.7), busy ones sooner.
	idleFor = 30 * time.Second
	// quitFor bounds the polite end of a connection.
	quitFor = time.Second
)

// A conn is one SMTP session. The goroutine that took it from the pool or dialled it owns
// it alone.
type conn struct {
	nc     net.Conn
	client *smtp.Client
	reused bool        // has carried a message, so the relay may have left
	timer  *time.Timer // ends it while it is idle
}

// A pool bounds the connections in use and keeps idle ones for the next
// message. A connection is dialled only when none is idle, so there are never
// more than maxConns, beside those that are being closed.
type pool struct {
	idleFor time.Duration
	slots   chan struct{}  // one inside for each connection in use
	done    chan struct{}  // closed by close
	sends   sync.WaitGroup // from enter to leave
	ends    sync.WaitGroup // timers of idle connections, and goodbyes
	once    sync.Once      // runs shut

	mu     sync.Mutex // guards what follows
	idle   []*conn    // last used last
	closed bool
}

func newPool() *pool {
	return &pool{idleFor: idleFor, slots: make(chan struct{}, maxConns), done: make(chan struct{})}
}

// enter waits for the right to use a connection. After nil, call leave.
func (p *pool) enter(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return deliver.ErrClosed
	}
	p.sends.Add(1)
	p.mu.Unlock()
	err := p.wait(ctx)
	if err != nil {
		p.sends.Done()
	}
	return err
}

func (p *pool) wait(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-p.done:
		return deliver.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) leave() {
	<-p.slots
	p.sends.Done()
}

// take returns the idle connection used last, or nil.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.timer.Stop() {
			p.ends.Done()
			return c
		}
		// Its time is up this very moment: it is expire's to close.
	}
	return nil
}

// retire ends an idle connection, if there is one, so that another may be
// dialled. Call it between enter and leave.
func (p *pool) retire() {
	if c := p.take(); c != nil {
		p.ends.Go(c.quit)
	}
}

// put gives back a connection that is ready for another message. Call it
// between enter and leave.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.reused = true
	p.ends.Add(1)
	c.timer = time.AfterFunc(p.idleFor, func() {
		defer p.ends.Done()
		p.expire(c)
	})
	p.idle = append(p.idle, c)
}

// expire ends a connection that nobody took.
func (p *pool) expire(c *conn) {
	p.mu.Lock()
	p.idle = slices.DeleteFunc(p.idle, func(o *conn) bool { return o == c })
	p.mu.Unlock()
	c.quit()
}

// close lets running sends end, refuses those that wait, and ends the idle
// connections.
func (p *pool) close() error {
	p.once.Do(p.shut)
	return nil
}

func (p *pool) shut() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.done)
	p.sends.Wait()
	for c := p.take(); c != nil; c = p.take() {
		p.ends.Go(c.quit)
	}
	p.ends.Wait()
}

// quit says goodbye and closes the connection, within quitFor.
func (c *conn) quit() {
	ctx, cancel := context.WithTimeout(context.Background(), quitFor)
	defer cancel()
	release := interrupt(ctx, c.nc)
	_ = c.client.Quit() // the message is delivered; nothing depends on it
	release()
	_ = c.nc.Close()
}

// interrupt makes the end of ctx end every read and write on nc. It returns the
// function that stops this and reports whether nc is still usable.
func interrupt(ctx context.Context, nc net.Conn) (release func() bool) {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = nc.SetDeadline(time.Unix(1, 0)) // fails only when nc is closed
	})
	return func() bool {
		if stop() {
			return true
		}
		<-fired
		return false
	}
}
