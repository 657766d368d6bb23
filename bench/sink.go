package main

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A sink is a mail relay that keeps only the codes, and counts connections and mails.
type sink struct {
	l net.Listener

	mu          sync.Mutex
	connections int                    // guarded by mu
	arrivals    []time.Time            // guarded by mu
	codes       map[string]chan string // guarded by mu; by address
}

func newSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{l: l, codes: map[string]chan string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
			go s.serve(c)
		}
	}()
	return s, nil
}

func (s *sink) port() int { return s.l.Addr().(*net.TCPAddr).Port }

// code is where the code for an address comes.
func (s *sink) code(address string) chan string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codes[address] == nil {
		s.codes[address] = make(chan string, 10)
	}
	return s.codes[address]
}

// counted returns how many connections and mails came so far, and when the mails did.
func (s *sink) counted() (connections int, arrivals []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections, append([]time.Time{}, s.arrivals...)
}

var codeLine = regexp.MustCompile(`(?m)^Your code: (\d+)`)

// serve speaks as much SMTP as a relay must (RFC 5321).
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	say := func(text string) { _, _ = fmt.Fprintf(c, "%s\r\n", text) }
	say("220 sink")
	to, in := "", bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch word := strings.ToUpper(line[:min(4, len(line))]); word {
		case "EHLO":
			say("250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
		case "RCPT":
			_, address, _ := strings.Cut(line, "<")
			to, _, _ = strings.Cut(address, ">")
			say("250 ok")
		case "DATA":
			say("354 go on")
			var text strings.Builder
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
				text.WriteString(line)
			}
			s.took(to, text.String())
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *sink) took(to, text string) {
	s.mu.Lock()
	s.arrivals = append(s.arrivals, time.Now())
	s.mu.Unlock()
	if m := codeLine.FindStringSubmatch(text); m != nil {
		select {
		case s.code(to) <- m[1]:
		default: // nobody waits for it
		}
	}
}
