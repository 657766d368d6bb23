package fleet

import (
	"fmt"
	"net"
	"strings"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// A reply is what a client heard of the answer that it gave.
type reply int

// The replies. The zero value is that nobody knows: the answer may have counted, or not.
const (
	unknown  reply = iota
	accepted       // let in
	wrong          // told that the code is not right: it was looked at and counted
	last           // likewise, and that the user is locked now
	used           // told that it was right, and used before
	locked         // told that the user is locked
	unasked        // no code was asked for, or the answer was not looked at
)

func (r reply) String() string {
	return [...]string{"unknown", "accepted", "wrong", "last", "used", "locked", "unasked"}[r]
}

// An answer is a code, and the method that it is of.
type answer struct {
	code   string
	backup bool
}

// A heard is how a login ended.
type heard struct {
	reply   reply
	refused bool // by a fault: there is no daemon, or it said that nothing can be checked
}

// A visit is a login under way: a code is asked for.
type visit struct {
	host   *host
	conn   net.Conn
	prompt string
}

// login logs in at the host with one answer.
func (h *host) login(user string, a answer) (heard, error) {
	v, end, err := h.knock(user)
	if v == nil {
		return end, err
	}
	return v.give(a)
}

// knock begins a login. Either a code is asked for, or the login has ended.
func (h *host) knock(user string) (*visit, heard, error) {
	c, err := net.Dial("unix", h.pam())
	if err != nil {
		return nil, heard{unasked, true}, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	req := mfa.Request{Service: "sshd", User: user, RHost: "203.0.113.7", SSHAuthInfo: "password"}
	_ = wire.Write(c, wiretest.Hello(req)) // a daemon that turned us away has hung up already, and its word is there to be read
	v := &visit{host: h, conn: c}
	text, o, err := v.hear()
	switch {
	case err == nil && v.prompt != "":
		return v, heard{}, nil
	case err != nil || o == mfa.Unavailable || o == mfa.Broken:
		return nil, heard{unasked, true}, err
	}
	return nil, heard{told(text), false}, nil
}

// give types the code and returns what was heard of it. The error says why that is unknown.
func (v *visit) give(a answer) (heard, error) {
	defer v.conn.Close()
	for {
		line, is := a.line(v.prompt)
		_ = wire.Write(v.conn, wire.Frame{Type: wire.Answer, Payload: []byte(line)}) // if it is gone, reading says so
		if is {
			v.host.tellTyped()
		}
		text, o, err := v.hear()
		gone := err != nil || v.prompt == "" && (o == mfa.Unavailable || o == mfa.Broken)
		switch {
		case is && gone:
			return heard{unknown, true}, err
		case gone:
			return heard{unasked, true}, err
		case o == mfa.Accepted && v.prompt == "":
			return heard{accepted, false}, nil
		case is || v.prompt == "":
			return heard{told(text), false}, nil
		}
	}
}

// hear reads until something is asked, which v.prompt has then, or the login ends with an
// outcome. It returns all that was said.
func (v *visit) hear() (text string, o mfa.Outcome, err error) {
	v.prompt = ""
	for {
		f, err := wire.Read(v.conn)
		if err != nil {
			_ = v.conn.Close()
			return text, mfa.Broken, err
		}
		if f.Type == wire.Done {
			_ = v.conn.Close()
			o, err := wire.DecodeDone(f)
			return text, o, err
		}
		p, err := wire.DecodePrompt(f)
		if err != nil {
			return text, mfa.Broken, err
		}
		text += " " + strings.Join(strings.Fields(p.Text), " ")
		if p.Kind == mfa.Ask || p.Kind == mfa.AskHidden {
			v.prompt = p.Text
			return text, mfa.Broken, nil
		}
	}
}

// line returns what is typed at a prompt; is says that it is the code.
func (a answer) line(prompt string) (line string, is bool) {
	end := prompt[strings.LastIndex(prompt, "\n")+1:]
	switch {
	case strings.HasPrefix(end, "Choice"):
		for entry := range strings.Lines(prompt) {
			if number, what, ok := strings.Cut(strings.TrimSpace(entry), "  "); ok && strings.Contains(what, "Backup code") {
				return number, false
			}
		}
		return "", false
	case a.backup && strings.Contains(end, "m = other method"):
		return "m", false
	}
	return a.code, true
}

// told returns what a text says of the answer before it.
func told(text string) reply {
	lock := strings.Contains(text, "is locked")
	switch {
	case strings.Contains(text, "code is not right") && lock:
		return last
	case strings.Contains(text, "code is not right"):
		return wrong
	case strings.Contains(text, "was used already"):
		return used
	case lock:
		return locked
	case strings.Contains(text, "begins again"):
		return unasked
	}
	panic(fmt.Sprintf("nobody knows what %q says", text))
}
