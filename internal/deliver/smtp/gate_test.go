package smtp

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// A gate is an SMTP server that takes no message before its gate is open. It
// serves any number of connections, for tests that count them.
type gate struct {
	port    int
	arrived chan struct{} // one for each connection that has a message to deliver
	open    chan struct{}

	mu sync.Mutex // guards n
	n  int
}

func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{
		port:    l.Addr().(*net.TCPAddr).Port,
		arrived: make(chan struct{}, 100), open: make(chan struct{}),
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.n++
			g.mu.Unlock()
			running.Go(func() { g.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return g
}

func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

func (g *gate) serve(c net.Conn) {
	defer c.Close()
	fmt.Fprint(c, "220 gate\r\n")
	body := false
	for in := bufio.NewScanner(c); in.Scan(); {
		verb, _, _ := strings.Cut(in.Text(), " ")
		switch {
		case body && verb != ".":
			continue
		case verb == "MAIL":
			g.arrived <- struct{}{}
			<-g.open
			fmt.Fprint(c, "250 ok\r\n")
		case verb == "DATA":
			body = true
			fmt.Fprint(c, "354 go\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			body = false
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}
