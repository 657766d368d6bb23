package contactstest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Proxy stands before a server and passes on what is said, or holds it.
type Proxy struct {
	Port int // of 127.0.0.1

	mu   sync.Mutex // guards what follows
	held bool
	open []net.Conn
}

// StartProxy stands before port until the test ends.
func StartProxy(t testing.TB, port int) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	p := &Proxy{Port: l.Addr().(*net.TCPAddr).Port}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c, port) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		serving.Wait()
	})
	return p
}

// Hold has connections from now on hear nothing, or be passed on again.
func (p *Proxy) Hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}

// URL is that of the server behind it, for a connection that begins in clear.
func (p *Proxy) URL() string { return "ldap://" + address(p.Port) }

func (p *Proxy) serve(c net.Conn, port int) {
	p.mu.Lock()
	held := p.held
	p.open = append(p.open, c)
	p.mu.Unlock()
	defer c.Close()
	if held {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	behind, err := net.Dial("tcp", address(port))
	if err != nil {
		return
	}
	defer behind.Close()
	go func() {
		_, _ = io.Copy(behind, c)
		_ = behind.Close()
	}()
	_, _ = io.Copy(c, behind)
}
