package etcdtest

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// A Relay stands before a TCP server and passes on what is said, as a network does: late,
// not at all, or until it is cut. It ends with the test. It may be used from many goroutines.
type Relay struct {
	Addr string // HOST:PORT of the relay

	target string
	listen net.Listener
	ended  sync.WaitGroup // of what passes bytes on

	mu      sync.Mutex // guards what follows
	links   map[*link]struct{}
	late    time.Duration
	isCut   bool
	hangs   func(from string) bool // nil: nothing does
	changed chan struct{}          // closed at each change
	closed  bool
}

// A link is one connection through a relay.
type link struct {
	ends [2]net.Conn

	mu   sync.Mutex // guards from
	from string     // the member that made it, if it said so
}

// NewRelay returns a Relay before the server at target, HOST:PORT, which need not run yet.
func NewRelay(t testing.TB, target string) *Relay {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: listen.Addr().String(), target: target, listen: listen, links: map[*link]struct{}{}, changed: make(chan struct{})}
	r.ended.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

// Delay has everything arrive that much later, in each direction, from now on.
func (r *Relay) Delay(by time.Duration) { r.set(func() { r.late = by }) }

// Cut resets all connections, and each new one, until Mend.
func (r *Relay) Cut() {
	r.set(func() { r.isCut = true })
	r.reset()
}

// Hang keeps back all that is said, until Mend: connections stay, and new ones are taken.
func (r *Relay) Hang() { r.hangFor(func(string) bool { return true }) }

// hangFor is Hang for connections from some.
func (r *Relay) hangFor(from func(string) bool) { r.set(func() { r.hangs = from }) }

// Mend ends Delay, Cut and Hang. What was kept back arrives now.
func (r *Relay) Mend() { r.set(func() { r.late, r.isCut, r.hangs = 0, false, nil }) }

func (r *Relay) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// reset ends all connections.
func (r *Relay) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		l.reset()
	}
}

func (r *Relay) close() {
	_ = r.listen.Close()
	r.set(func() { r.closed = true })
	r.reset()
	r.ended.Wait()
}

// accept takes connections until the relay is closed.
func (r *Relay) accept() {
	for {
		near, err := r.listen.Accept()
		if err != nil {
			return
		}
		l := &link{ends: [2]net.Conn{near, nil}}
		if !r.enter(l) {
			l.reset()
			continue
		}
		r.ended.Go(func() {
			defer r.leave(l)
			r.join(l)
		})
	}
}

// enter counts l in, unless connections are cut.
func (r *Relay) enter(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isCut || r.closed {
		return false
	}
	r.links[l] = struct{}{}
	return true
}

func (r *Relay) leave(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.reset()
	delete(r.links, l)
}

// join connects l with the server, and passes on until one of them ends.
func (r *Relay) join(l *link) {
	far, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	r.mu.Lock()
	l.ends[1] = far
	gone := r.isCut || r.closed
	r.mu.Unlock()
	if gone {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { r.pass(l, 0) })
	both.Go(func() { r.pass(l, 1) })
	both.Wait()
}

// A parcel is something said, and when it arrives.
type parcel struct {
	bytes []byte
	due   <-chan time.Time
}

// pass passes on what one end of l says, in order, until that ends.
func (r *Relay) pass(l *link, end int) {
	defer l.reset()
	under := make(chan parcel, 1024)
	var writer sync.WaitGroup
	writer.Go(func() {
		for p := range under {
			<-p.due
			if !r.mayPass(l) {
				l.reset()
			}
			if _, err := l.ends[1-end].Write(p.bytes); err != nil {
				l.reset()
			}
		}
	})
	defer writer.Wait()
	defer close(under)
	for buf := make([]byte, 64<<10); ; {
		n, err := l.ends[end].Read(buf)
		if n > 0 {
			said := bytes.Clone(buf[:n])
			if end == 0 {
				l.hear(said)
			}
			r.mu.Lock()
			late := r.late
			r.mu.Unlock()
			under <- parcel{said, time.After(late)}
		}
		if err != nil {
			return
		}
	}
}

// mayPass waits while l hangs, and returns false once the relay is closed.
func (r *Relay) mayPass(l *link) bool {
	for {
		r.mu.Lock()
		hangs, changed, closed := r.hangs, r.changed, r.closed
		r.mu.Unlock()
		switch {
		case closed:
			return false
		case hangs == nil || !hangs(l.maker()):
			return true
		}
		<-changed
	}
}

// hear learns from the head of a request which member makes it.
func (l *link) hear(said []byte) {
	const name = "\r\nX-Server-From: "
	_, from, is := bytes.Cut(said, []byte(name))
	if !is {
		return
	}
	from, _, _ = bytes.Cut(from, []byte("\r\n"))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = string(from)
}

func (l *link) maker() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from
}

// reset ends both ends at once.
func (l *link) reset() {
	for _, c := range l.ends {
		if c, is := c.(*net.TCPConn); is && c != nil {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
}
