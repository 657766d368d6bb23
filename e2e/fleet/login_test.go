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
	used           // told that it was right, and used before
	locked         // told that the user is locked: it was not looked at
	unasked        // no code was asked for, or the answer was not looked at
)

func (r reply) String() string {
	return [...]string{"unknown", "accepted", "wrong", "used", "locked", "unasked"}[r]
}

// An answer is a code, and the method that it is of.
type answer struct {
	code   string
	backup bool
}

// A heard is the end of a login.
type heard struct {
	reply   reply
	refused bool          // by a fault: the daemon said that the code cannot be checked
	asked   bool          // a code was asked for
	took    time.Duration // from the answer to the reply
}

// login logs in at the host with one answer. The error says why the reply is unknown.
func (h *host) login(user string, a answer) (heard, error) {
	c, err := net.Dial("unix", h.pam())
	if err != nil {
		return heard{reply: unasked}, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	req := mfa.Request{Service: "sshd", User: user, RHost: "203.0.113.7", SSHAuthInfo: "password"}
	_ = wire.Write(c, wiretest.Hello(req)) // a daemon that turned us away has hung up already, and its word is there to be read
	typed, begun, text := false, time.Time{}, ""
	for {
		f, err := wire.Read(c)
		switch {
		case err != nil && !typed:
			return heard{reply: unasked}, err
		case err != nil:
			return heard{asked: true, took: time.Since(begun)}, err
		case f.Type == wire.Done:
			o, err := wire.DecodeDone(f)
			return ended(o, text, typed, begun), err
		}
		p, err := wire.DecodePrompt(f)
		if err != nil {
			return heard{asked: typed}, err
		}
		text += " " + strings.Join(strings.Fields(p.Text), " ")
		if p.Kind != mfa.Ask && p.Kind != mfa.AskHidden {
			continue
		}
		if typed {
			return heard{reply: told(text), asked: true, took: time.Since(begun)}, nil
		}
		line, last := a.line(p.Text)
		if last {
			typed, begun, text = true, time.Now(), ""
		}
		_ = wire.Write(c, wire.Frame{Type: wire.Answer, Payload: []byte(line)}) // if it is gone, reading says so
	}
}

// line returns what is typed at a prompt; last says that it is the code.
func (a answer) line(prompt string) (line string, last bool) {
	end := prompt[strings.LastIndex(prompt, "\n")+1:]
	switch {
	case strings.HasPrefix(end, "Choice"):
		for entry := range strings.Lines(prompt) {
			if number, what, ok := strings.Cut(strings.TrimSpace(entry), "  "); ok && strings.Contains(what, "Backup code") {
				return number, false
			}
		}
		return "", false
	case strings.HasPrefix(end, "Press Enter"):
		return "", false
	case a.backup && strings.Contains(end, "m = other method"):
		return "m", false
	}
	return a.code, true
}

// ended is the end of a login by a verdict, behind text.
func ended(o mfa.Outcome, text string, typed bool, begun time.Time) heard {
	end := heard{asked: typed, refused: o == mfa.Unavailable || o == mfa.Broken}
	if typed {
		end.took = time.Since(begun)
	}
	switch {
	case o == mfa.Accepted:
		end.reply = accepted
	case end.refused && typed:
		end.reply = unknown
	case end.refused:
		end.reply = unasked
	default:
		end.reply = told(text)
	}
	return end
}

// told returns what a text says of the answer before it.
func told(text string) reply {
	for _, of := range []struct {
		part string
		says reply
	}{
		{"code is not right", wrong},
		{"was used already", used},
		{"is locked", locked},
		{"begins again", unasked},
	} {
		if strings.Contains(text, of.part) {
			return of.says
		}
	}
	panic(fmt.Sprintf("nobody knows what %q says", text))
}
