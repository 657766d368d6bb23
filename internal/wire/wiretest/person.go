package wiretest

import (
	"errors"
	"io"
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// ErrLeft means that the person went away.
var ErrLeft = errors.New("the person went away")

// Talk holds a login over c, and returns how it ended. Heard is called with the text of
// each prompt. Answer is called with each that waits for a line, and returns the frame that
// the module sends, or nil if the person goes away: then the error is ErrLeft.
func Talk(c io.ReadWriter, hello wire.Frame, heard func(text string), answer func(prompt string) *wire.Frame) (mfa.Outcome, error) {
	if err := wire.Write(c, hello); err != nil {
		return 0, err
	}
	for {
		f, err := wire.Read(c)
		if err != nil {
			return 0, err
		}
		if f.Type == wire.Done {
			return wire.DecodeDone(f)
		}
		prompt, err := wire.DecodePrompt(f)
		if err != nil {
			return 0, err
		}
		heard(prompt.Text)
		if prompt.Kind != mfa.Ask && prompt.Kind != mfa.AskHidden {
			continue
		}
		said := answer(prompt.Text)
		if said == nil {
			return 0, ErrLeft
		}
		if err := wire.Write(c, *said); err != nil {
			return 0, err
		}
	}
}

// Line is the frame of a line that is typed.
func Line(text string) *wire.Frame {
	return &wire.Frame{Type: wire.Answer, Payload: []byte(text)}
}

// Leave is a Code that is none: the person goes away.
const Leave = "\x00"

// A Person answers what one login asks.
type Person struct {
	Choose string                     // what is chosen in a menu: an entry with this text
	Code   func(prompt string) string // the next code, or Leave; nil: they go away
	To     string                     // an address, a number or a secret

	chosen bool
}

// Answer returns what is typed at a prompt, and whether anything is.
func (p *Person) Answer(text string) (line string, stays bool) {
	last := text[strings.LastIndex(text, "\n")+1:]
	switch {
	case strings.HasPrefix(last, "Choice"):
		p.chosen = true
		return p.entry(text), true
	case strings.HasPrefix(last, "Remember"):
		return "y", true
	case strings.HasPrefix(last, "Press Enter"):
		return "", true
	case strings.HasPrefix(last, "Email address"), strings.HasPrefix(last, "Phone number"), strings.HasPrefix(last, "Serial number"):
		return p.To, true
	case p.Code == nil:
		return "", false
	case p.Choose != "" && !p.chosen && strings.Contains(last, "m = other method"):
		p.chosen = true
		return "m", true
	}
	line = p.Code(text)
	return line, line != Leave
}

// entry returns the number of what is chosen in a menu; "" if it is not there.
func (p *Person) entry(menu string) string {
	for line := range strings.Lines(menu) {
		if number, what, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && p.Choose != "" && strings.Contains(what, p.Choose) {
			return number
		}
	}
	return ""
}

// Typing returns a Code that types some, one after the other, and then empty lines.
func Typing(codes ...string) func(string) string {
	return func(string) string {
		if len(codes) == 0 {
			return ""
		}
		code := codes[0]
		codes = codes[1:]
		return code
	}
}
