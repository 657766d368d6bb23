package delivertest

import (
	"bufio"
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

// Serve speaks with one client until it leaves, and closes c.
func (r *Relay) Serve(c net.Conn) {
	defer c.Close()
	say := func(text string) { _, _ = fmt.Fprintf(c, "%s\r\n", text) }
	say("220 relay.test ESMTP")
	to, in := "", bufio.NewReader(c)
	for {
		if r.Patience > 0 {
			_ = c.SetReadDeadline(time.Now().Add(r.Patience))
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch word := strings.ToUpper(line[:min(4, len(line))]); word {
		case "EHLO":
			say("250-relay.test\r\n250-PIPELINING\r\n250 8BITMIME")
		case "RCPT":
			_, address, _ := strings.Cut(line, "<")
			to, _, _ = strings.Cut(address, ">")
			answer := "250 ok"
			if r.Rcpt != nil {
				answer = r.Rcpt(to)
			}
			if answer == "" {
				return
			}
			say(answer)
		case "DATA":
			say("354 go on")
			text, err := data(in)
			if err != nil {
				return
			}
			r.Take(to, text)
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
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
