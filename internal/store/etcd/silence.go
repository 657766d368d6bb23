package etcd

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// lines are the connections to members. One over which a question went, and nothing at all
// came back before the time for its answer was over, is closed: the member hangs, or the way
// to it is cut. So no more questions go there until it speaks again, and what waits there
// ends. A member that only waits for its leader is not silent: it acknowledges each question
// with a ping of HTTP/2. It may be used from many goroutines.
type lines struct {
	mu   sync.Mutex // guards open
	open map[string]*net.TCPConn
}

// options are what makes the client use l. A proxy that the environment names has no say.
func (l *lines) options() []dialOption {
	return []dialOption{grpc.WithContextDialer(l.dial), grpc.WithChainUnaryInterceptor(l.ask)}
}

// dial connects to a member at HOST:PORT.
func (l *lines) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp, is := c.(*net.TCPConn); is {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = map[string]*net.TCPConn{}
		}
		l.open[addr] = tcp // the former one to that member has ended
	}
	return c, nil
}

// ask asks a question, and closes the connection if there is only silence.
func (l *lines) ask(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	deadline, ends := ctx.Deadline()
	wait := time.Until(deadline)
	var to peer.Peer
	err := invoke(ctx, method, in, out, cc, append(opts, grpc.Peer(&to))...)
	if ends && status.Code(err) == codes.DeadlineExceeded && ctx.Err() != nil && to.LocalAddr != nil {
		l.closeSilent(to.LocalAddr.String(), wait)
	}
	return err
}

// closeSilent closes the connection with a local address if nothing came over it for so long.
func (l *lines) closeSilent(local string, since time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		if c.LocalAddr().String() == local && silent(c) >= since {
			_ = c.Close()
		}
	}
}

// silent returns how long ago something came over a connection (tcp(7), TCP_INFO).
func silent(c *net.TCPConn) (since time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			since = time.Duration(info.Last_data_recv) * time.Millisecond
		}
	})
	return since
}
