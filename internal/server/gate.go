package server

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// A Gate is a listener that reads the peer's credentials before the first byte, and
// bounds the connections: of one uid, of all that are not root together, and of root. It
// also limits how often one uid connects, unless that is root or on the allow list. To turn
// a peer away costs no goroutine, no lasting memory and no log line of its own. Only one
// goroutine may call Accept; the connections it returns may be closed from any.
type Gate struct {
	net.Listener
	name    string // for people
	bounds  bounds
	rate    rate
	refusal []byte                                    // written to a peer that is turned away
	event   func(uid uint32, reason string) mfa.Event // the audit event for that

	slots   *slots
	limiter rateLimiter
	allowed *allowList
	audit   *audit.Log
	log     *slog.Logger
	warned  time.Time // when it was last said that Accept fails
}

// A peerConn is a connection that a Gate let in.
type peerConn struct {
	net.Conn
	cred  *unix.Ucred // nil: it came over TCP
	leave func()      // once
}

// Close implements net.Conn.
func (v *peerConn) Close() error {
	defer v.leave()
	return v.Conn.Close()
}

// CloseRead ends a reader of a Unix socket.
func (v *peerConn) CloseRead() error {
	if c, ok := v.Conn.(*net.UnixConn); ok {
		return c.CloseRead()
	}
	return v.Conn.Close()
}

// Accept returns the next connection that is let in; its type is *peerConn. It
// fails only when the Gate is closed.
func (g *Gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			// Out of descriptors, most likely: connections that end free some.
			if now := time.Now(); now.Sub(g.warned) > time.Minute {
				g.log.Error("cannot accept connections", "socket", g.name, "error", err)
				g.warned = now
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if v := g.admit(c); v != nil {
			return v, nil
		}
	}
}

var (
	errTooMany = errors.New("too many logins at once")
	errTooFast = errors.New("too many within a short time")
)

// admit counts c in, or turns it away and returns nil.
func (g *Gate) admit(c net.Conn) *peerConn {
	uid := uint32(noUID)
	var cred *unix.Ucred
	if u, ok := c.(*net.UnixConn); ok {
		var err error
		if cred, err = peer(u); err != nil {
			g.turnAway(c, uid, err)
			return nil
		}
		uid = cred.Uid
	}
	b, now := g.bounds, time.Now()
	switch known := uid != 0 && g.allowed.has(uid, now); {
	case known:
		b.perUID = max(b.perUID, b.others/2)
	case uid != 0 && !g.limiter.allow(uid, g.rate, now):
		g.turnAway(c, uid, errTooFast)
		return nil
	}
	if !g.slots.enter(uid, b) {
		g.turnAway(c, uid, errTooMany)
		return nil
	}
	return &peerConn{c, cred, sync.OnceFunc(func() { g.slots.leave(uid) })}
}

// turnAway writes g.word and closes c. Nothing was written before, so there is room for
// it and the write does not block.
func (g *Gate) turnAway(c net.Conn, uid uint32, why error) {
	g.audit.Refuse(uid, g.name+why.Error(), g.event(uid, why.Error()+" on the "+g.name))
	if g.refusal != nil {
		_, _ = c.Write(g.refusal)
	}
	_ = c.Close()
}

// spareFiles are the descriptors that are not the sockets': the store, the audit
// file, connections to carriers, and look-ups of users.
const spareFiles = 256

// MostLogins returns how many logins there can be at once, given that want are
// wished for: the descriptors of this process must last for them.
func MostLogins(want int, log *slog.Logger) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return want
	}
	most := want
	for most > 1 && uint64(files(most)+spareFiles) > limit.Cur {
		most = most * 7 / 8
	}
	if most < want {
		log.Warn("server.max_logins is more than the open files of this process allow; raise LimitNOFILE= of mfad.service",
			"max_logins", want, "logins", most, "files", limit.Cur)
	}
	return most
}

// files is how many file descriptors the sockets use at most, where max is
// server.max_logins.
func files(max int) int {
	n := 0
	for _, b := range []bounds{loginBounds(max), controlBounds, {root: 16, others: 32}} {
		n += b.root + b.others
	}
	return n
}
