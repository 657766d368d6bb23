package main

import (
	"net"
	"strings"

	"mfa/e2e/history"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// A talk is one login, as the module sees it.
type talk struct {
	conn net.Conn
	said heard // last
	app  *app  // that is being set up; nil: none
}

// A heard is what mfad said up to a prompt, or the end.
type heard struct {
	text    string // in one line
	asks    bool
	outcome mfa.Outcome // at the end
}

// dial begins a login. Its connection has no deadline: where mfad hangs, the run ends it.
func dial(socket, user string, from place) (*talk, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	t := &talk{conn: conn}
	err = wire.Write(conn, wiretest.Hello(mfa.Request{Service: from.service, User: user, RHost: from.address}))
	if err == nil {
		err = t.hear()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return t, nil
}

// answer types a line, and hears what follows.
func (t *talk) answer(line string) error {
	if err := wire.Write(t.conn, wire.Frame{Type: wire.Answer, Payload: []byte(line)}); err != nil {
		return err
	}
	return t.hear()
}

// hear reads up to the next prompt, or the end.
func (t *talk) hear() error {
	var h heard
	for {
		f, err := wire.Read(t.conn)
		if err != nil {
			return err
		}
		if f.Type == wire.Done {
			h.outcome, err = wire.DecodeDone(f)
			t.said = h
			return err
		}
		p, err := wire.DecodePrompt(f)
		if err != nil {
			return err
		}
		h.text = strings.Join(strings.Fields(h.text+" "+p.Text), " ")
		if h.asks = p.Kind == mfa.Ask || p.Kind == mfa.AskHidden; h.asks {
			t.said = h
			return nil
		}
	}
}

// is reports whether a text was heard.
func (h heard) is(text string) bool { return strings.Contains(h.text, text) }

// ends reports whether the prompt ends so.
func (h heard) ends(text string) bool { return h.asks && strings.HasSuffix(h.text, text) }

// Texts of mfad.
const (
	saysNotRight  = "That code is not right."
	saysLocked    = "Your second factor is locked"
	saysClock     = "Your app's clock"
	saysEnds      = "This login ends here."
	saysUsed      = "was used already"
	saysAgain     = "so this begins again"
	saysVoid      = "so this one is void"
	saysForgotten = "could not be remembered"
	saysStuck     = "cannot be checked right now"
	asksRemember  = "[y/N]:"
	asksKept      = "Press Enter when they are kept:"
	asksChoice    = "Choice [1]:"
	asksBackup    = "Backup code:"
	showsKey      = "otpauth://"
)

// begun returns how a login began.
func (h heard) begun() history.Outcome {
	switch {
	case h.asks && h.is(showsKey):
		return history.Offered
	case h.asks:
		return history.Asked
	case h.outcome == mfa.Accepted:
		return history.Accepted
	case h.is(saysLocked):
		return history.Locked
	}
	return history.Refused
}

// byMemory reports whether a login ended well without a word about what was typed: it began
// again, as the user had changed, and logins from here are remembered by now. Where they can
// be, a right code is followed by the question whether this one is to be.
func (h heard) byMemory(from place) bool {
	return !h.asks && h.outcome == mfa.Accepted && from != console
}

// judged returns what became of a code that was typed. A login may end from outside while
// the code is looked at; then nobody knows.
func (h heard) judged() history.Outcome {
	switch {
	case h.lockedByIt():
		return history.LastWrong
	case h.is(saysNotRight):
		return history.Wrong
	case h.is(saysUsed):
		return history.Used
	case h.is(saysAgain), h.is(saysVoid):
		return history.Refused
	case h.ends(asksRemember), h.ends(asksKept), !h.asks && h.outcome == mfa.Accepted:
		return history.Accepted
	}
	return history.Unknown
}

// lockedByIt reports whether a wrong code was told of that locked the user. Between the two
// may be a word about a clock; after anything else it was another login that locked.
func (h heard) lockedByIt() bool {
	_, after, _ := strings.Cut(h.text, saysNotRight)
	between, _, locked := strings.Cut(after, saysLocked)
	between = strings.TrimSpace(between)
	return locked && (between == "" || strings.HasPrefix(between, saysClock) && !strings.Contains(between, saysEnds))
}

// remembered returns what became of the wish to be remembered.
func (h heard) remembered() history.Outcome {
	switch {
	case h.is(saysForgotten):
		return history.Refused
	case !h.asks && h.outcome == mfa.Accepted:
		return history.Done
	}
	return history.Unknown
}
