package delivertest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"
)

// A Relay speaks as much SMTP as a mail relay must (RFC 5321), for programs that hold many
// logins: unlike a Server it follows no script. It may be used from many goroutines, if its
// functions may.
type Relay struct {
	// Take is given each mail that was taken: to whom it goes, and its text as it was sent.
	Take func(to, text string)
	// Rcpt returns the answer to a recipient; empty: the connection is closed without one.
	// nil: each recipient is taken.
	Rcpt func(to string) string
	// Patience is how long a client may say nothing; 0: for ever.
	Patience time.Duration
	// TLS is what STARTTLS is done with (RFC 3207); nil: it is not offered.
	TLS *tls.Config
	// Login says whether a user may send with that password (AUTH PLAIN, RFC 4954); mail of
	// nobody else is taken then, and passwords only behind STARTTLS. nil: all may send.
	Login func(user, password string) bool
}

// Accept serves what comes to l, until it is closed.
func (r *Relay) Accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go r.Serve(c)
	}
}

// A talk is what a relay knows of one client.
type talk struct {
	conn      net.Conn
	in        *bufio.Reader
	encrypted bool
	known     bool   // it logged in
	to        string // the last recipient
}

// Serve speaks with one client until it leaves, and closes c.
func (r *Relay) Serve(c net.Conn) {
	t := &talk{conn: c, in: bufio.NewReader(c)}
	defer func() { _ = t.conn.Close() }()
	t.say("220 relay.test ESMTP")
	for {
		if r.Patience > 0 {
			_ = t.conn.SetReadDeadline(time.Now().Add(r.Patience))
		}
		line, err := t.in.ReadString('\n')
		if err != nil || !r.answer(t, strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

func (t *talk) say(text string) { _, _ = fmt.Fprintf(t.conn, "%s\r\n", text) }

// answer answers one line, and says whether the client may go on.
func (r *Relay) answer(t *talk, line string) bool {
	switch word := strings.ToUpper(line[:min(4, len(line))]); word {
	case "EHLO":
		t.say(r.hello(t))
	case "STAR":
		r.encrypt(t)
	case "AUTH":
		if t.known = t.encrypted && r.plain(line); t.known {
			t.say("235 welcome")
		} else {
			t.say("535 the user or the password is wrong")
		}
	case "MAIL":
		if r.Login != nil && !t.known {
			t.say("530 log in first")
			break
		}
		t.say("250 ok")
	case "RCPT":
		return r.recipient(t, line)
	case "DATA":
		return r.mail(t)
	case "QUIT":
		t.say("221 bye")
		return false
	default:
		t.say("250 ok")
	}
	return true
}

// encrypt does STARTTLS. Whether the shaking of hands works shows at the next line.
func (r *Relay) encrypt(t *talk) {
	if r.TLS == nil || t.encrypted {
		t.say("503 not here")
		return
	}
	t.say("220 go on")
	t.conn = tls.Server(t.conn, r.TLS)
	t.in, t.encrypted = bufio.NewReader(t.conn), true
}

func (r *Relay) recipient(t *talk, line string) bool {
	_, address, _ := strings.Cut(line, "<")
	t.to, _, _ = strings.Cut(address, ">")
	answer := "250 ok"
	if r.Rcpt != nil {
		answer = r.Rcpt(t.to)
	}
	if answer != "" {
		t.say(answer)
	}
	return answer != ""
}

func (r *Relay) mail(t *talk) bool {
	t.say("354 go on")
	text, err := data(t.in)
	if err != nil {
		return false
	}
	r.Take(t.to, text)
	t.say("250 kept")
	return true
}

// hello returns the answer to EHLO.
func (r *Relay) hello(t *talk) string {
	lines := "250-relay.test\r\n250-PIPELINING\r\n"
	if r.TLS != nil && !t.encrypted {
		lines += "250-STARTTLS\r\n"
	}
	if r.Login != nil && t.encrypted {
		lines += "250-AUTH PLAIN\r\n"
	}
	return lines + "250 8BITMIME"
}

// plain says whether AUTH PLAIN with an initial response logs in (RFC 4616).
func (r *Relay) plain(line string) bool {
	fields := strings.Fields(line)
	if r.Login == nil || len(fields) != 3 || !strings.EqualFold(fields[1], "PLAIN") {
		return false
	}
	text, err := base64.StdEncoding.DecodeString(fields[2])
	parts := strings.Split(string(text), "\x00")
	return err == nil && len(parts) == 3 && r.Login(parts[1], parts[2])
}

// data returns the text of a mail, up to the line with a dot alone.
func data(in *bufio.Reader) (string, error) {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return text.String(), nil
		}
		text.WriteString(strings.TrimPrefix(line, ".")) // RFC 5321, 4.5.2: a dot was put before a dot
	}
}
