package main

import (
	"bytes"
	"io"
	"net"
	"time"
)

// A hop is a way to a TCP server on which all takes some time, in each direction.
type hop struct {
	addr   string // HOST:PORT, to connect to
	listen net.Listener
}

// newHop returns a hop of that length before the server at target, which need not run yet.
func newHop(target string, takes time.Duration) (*hop, error) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := listen.Accept()
			if err != nil {
				return // stopped
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = near.Close() // who called tries again
				continue
			}
			go carry(near, far, takes)
			go carry(far, near, takes)
		}
	}()
	return &hop{listen.Addr().String(), listen}, nil
}

func (h *hop) stop() error { return h.listen.Close() }

// carry hands on what one side says, each piece so much later, until one of them ends.
func carry(from, to net.Conn, takes time.Duration) {
	type piece struct {
		text []byte
		due  time.Time
	}
	under := make(chan piece, 1024)
	go func() {
		defer to.Close()
		for p := range under {
			time.Sleep(time.Until(p.due))
			if _, err := io.Copy(to, bytes.NewReader(p.text)); err != nil {
				_ = from.Close() // ends the loop below
			}
		}
	}()
	defer close(under)
	for buf := make([]byte, 64<<10); ; {
		n, err := from.Read(buf)
		if n > 0 {
			under <- piece{bytes.Clone(buf[:n]), time.Now().Add(takes)}
		}
		if err != nil {
			return
		}
	}
}
