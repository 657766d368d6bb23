// Package delivertest is the other end of a delivery in tests: a scripted SMTP
// server, a real Exim on a port and spool of its own, and a reader of maildirs.
//
// What to know before trusting it: everything listens on 127.0.0.1 and ends
// with the test. A script that is not used up, and a client that says what the
// script does not expect, fail the test.
package delivertest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Step is one exchange: what the client must say, what it is told, and what
// happens then.
type Step struct {
	Want  string // prefix of the client's line; Body: a message up to its dot; empty: the server speaks unasked
	Reply string // lines separated by \n; empty: nothing is said
	Then  Action
}

// Body as a Step's Want reads a message instead of a line.
const Body = "."

// An Action is what a server does after a Step.
type Action int

// The actions.
const (
	Continue Action = iota
	StartTLS        // shake hands, then go on encrypted; that it fails is the client's business
	Hangup          // close the connection; the session is over
	Stall           // say nothing more until the client leaves; the session is over
	Leave           // the client may leave here, and must; the session is over
)

// A Session is one connection from its first Step to its last.
type Session []Step

// Script joins parts into a Session.
func Script(parts ...[]Step) Session { return slices.Concat(parts...) }

// Hello returns the greeting and the answer to EHLO with these extensions.
func Hello(extensions ...string) []Step { return append(Greeting(), Ehlo(extensions...)...) }

// Greeting returns what a server says first (RFC 5321, 3.1).
func Greeting() []Step { return []Step{{Reply: "220 relay.test ESMTP"}} }

// Ehlo returns the answer to EHLO.
func Ehlo(extensions ...string) []Step {
	var b strings.Builder
	b.WriteString("relay.test at your service")
	for _, e := range extensions {
		b.WriteString("\n" + e)
	}
	return []Step{{Want: "EHLO ", Reply: Reply(250, b.String())}}
}

// Secure returns STARTTLS and the handshake.
func Secure() []Step {
	return []Step{{Want: "STARTTLS", Reply: "220 go ahead", Then: StartTLS}}
}

// Accept returns a message that is taken.
func Accept() []Step {
	return []Step{
		{Want: "MAIL FROM:<", Reply: "250 sender ok"},
		{Want: "RCPT TO:<", Reply: "250 recipient ok"},
		{Want: "DATA", Reply: "354 go ahead"},
		{Want: Body, Reply: "250 queued as 4711"},
	}
}

// Reset returns the RSET that opens a further message on a kept connection.
func Reset() []Step { return []Step{{Want: "RSET", Reply: "250 reset"}} }

// Quit returns a polite end.
func Quit() []Step { return []Step{{Want: "QUIT", Reply: "221 bye", Then: Leave}} }

// Gone returns a client that leaves without a word.
func Gone() []Step { return []Step{{Then: Leave}} }

// Reply writes text, which may have several lines, as an SMTP reply.
func Reply(code int, text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		lines[i] = fmt.Sprintf("%d%s%s", code, mark, l)
	}
	return strings.Join(lines, "\n")
}

// Options of a Server.
type Options struct {
	Certificate *tls.Certificate // for STARTTLS and Implicit
	Implicit    bool             // TLS from the first byte
}

// A Server is an SMTP server that says what its script says. The n-th
// connection gets the n-th session.
type Server struct {
	Host string
	Port int

	t        testing.TB
	opts     Options
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	sessions []Session  // not yet begun
	accepted int
	messages []string
	open     map[net.Conn]bool
	closing  bool
}

// NewServer starts a server. At the end of the test it must be used up: every
// session begun and gone through to its end.
func NewServer(t testing.TB, opts Options, sessions ...Session) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	s := &Server{
		Host: "127.0.0.1", Port: addr.Port,
		t: t, opts: opts, listener: l, sessions: sessions, open: map[net.Conn]bool{},
	}
	s.running.Go(s.accept)
	t.Cleanup(s.Finish)
	return s
}

// Accepted returns the number of connections so far.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Messages returns what clients sent as DATA, in the order of arrival, with \n
// line ends.
func (s *Server) Messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// patience is how long Finish waits for clients; only a broken test waits.
const patience = 20 * time.Second

// Finish waits until every session has ended and stops the server. It is called
// at the end of the test, too.
func (s *Server) Finish() {
	s.t.Helper()
	s.mu.Lock()
	left := len(s.sessions)
	s.closing = true
	s.sessions = nil
	s.mu.Unlock()
	_ = s.listener.Close()
	if left > 0 {
		s.t.Errorf("scripted server: %d sessions were never begun", left)
	}
	overdue := time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.open {
			_ = c.Close()
		}
	})
	defer overdue.Stop()
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		session, n := s.begin(c)
		s.running.Go(func() {
			defer s.end(c)
			if err := s.play(c, session); err != nil {
				s.t.Errorf("scripted server: connection %d: %v", n, err)
			}
		})
	}
}

func (s *Server) begin(c net.Conn) (Session, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	s.open[c] = true
	if len(s.sessions) == 0 {
		if !s.closing {
			s.t.Errorf("scripted server: connection %d has no session", s.accepted)
		}
		return nil, s.accepted
	}
	session := s.sessions[0]
	s.sessions = s.sessions[1:]
	return session, s.accepted
}

func (s *Server) end(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	_ = c.Close()
}

// play goes through one session.
func (s *Server) play(c net.Conn, session Session) error {
	if s.opts.Implicit {
		secured, err := s.handshake(c)
		if err != nil {
			return nil // the client refused us, and its test says whether it should
		}
		c = secured
	}
	in := bufio.NewReader(c)
	for i, step := range session {
		if err := s.hear(in, step.Want); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if step.Reply != "" {
			text := strings.ReplaceAll(step.Reply, "\n", "\r\n") + "\r\n"
			if _, err := io.WriteString(c, text); err != nil {
				return fmt.Errorf("step %d: say %q: %w", i+1, step.Reply, err)
			}
		}
		switch step.Then {
		case StartTLS:
			secured, err := s.handshake(c)
			if err != nil {
				return nil
			}
			c, in = secured, bufio.NewReader(secured)
		case Hangup:
			return nil
		case Stall, Leave:
			return untilGone(in)
		}
	}
	return nil
}

func (s *Server) handshake(c net.Conn) (net.Conn, error) {
	secured := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*s.opts.Certificate}})
	return secured, secured.Handshake()
}

// hear reads what the client must say now.
func (s *Server) hear(in *bufio.Reader, want string) error {
	switch want {
	case "":
		return nil
	case Body:
		return s.hearBody(in)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("wait for %q: %w", want, err)
	}
	if !strings.HasPrefix(line, want) {
		return fmt.Errorf("client said %q, not %q", line, want)
	}
	return nil
}

func (s *Server) hearBody(in *bufio.Reader) error {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "." {
			break
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\n")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, b.String())
	return nil
}

// untilGone waits for the client to leave without another word.
func untilGone(in *bufio.Reader) error {
	line, err := in.ReadString('\n')
	if err == nil {
		return fmt.Errorf("client said %q where it had nothing to say", line)
	}
	var netErr *net.OpError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr) {
		return nil
	}
	return fmt.Errorf("wait for the client to leave: %w", err)
}
