package deliver

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"mfa/internal/mfa"
)

// A letter is a message ready to be handed over.
type letter struct {
	from, to mail.Address // of the envelope; without names
	data     []byte       // header and body (RFC 5322), lines end with CRLF
	private  []string     // what no error may quote
}

// compose writes the message that m stands for.
func (e *Email) compose(m mfa.Message) (letter, error) {
	to, err := recipient(m.To)
	if err != nil {
		return letter{}, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&e.from)
	msg.ToMailAddress(&to)
	msg.Subject(line(m.Subject))
	msg.SetDateWithValue(e.now())
	msg.SetMessageIDWithValue(messageID(m.ID) + "@" + e.host)
	// RFC 3834: nobody's out-of-office note shall answer this.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	var data bytes.Buffer
	if _, err := msg.WriteTo(&data); err != nil {
		return letter{}, fmt.Errorf("compose: %w", err)
	}
	return letter{
		from: mail.Address{Address: e.from.Address}, to: to,
		data: data.Bytes(), private: privateWords(m.Text),
	}, nil
}

// recipient reads a bare address. The error does not repeat it.
func recipient(to string) (mail.Address, error) {
	a, err := mail.ParseAddress(to)
	if err != nil || a.Name != "" {
		return mail.Address{}, fmt.Errorf("recipient %q is not an email address", Mask(to))
	}
	return *a, nil
}

// bare returns the address as RFC 5321 writes it, without angle brackets.
func bare(a mail.Address) string {
	return strings.TrimSuffix(strings.TrimPrefix(a.String(), "<"), ">")
}

// line keeps a header's value to one line.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// messageID returns the left side of a Message-ID (RFC 5322, 3.6.4): id, so that
// the mail can be found by what the logs call it, or a random one.
func messageID(id string) string {
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return !isWord(r) && r != '-' && r != '_' }) {
		return rand.Text()
	}
	return id
}

// domain returns host if it can stand in HELO and behind an @, else localhost.
func domain(host string) string {
	bad := func(r rune) bool { return !isWord(r) && r != '-' && r != '.' }
	if host == "" || len(host) > 253 || strings.ContainsFunc(host, bad) ||
		strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") || strings.Contains(host, "..") {
		return "localhost"
	}
	return host
}

func isWord(r rune) bool { return isDigit(r) || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// privateWords returns the words of a message that may be a code. A relay can
// quote the message in its answer, and answers are logged.
func privateWords(text string) []string {
	var words []string
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !isWord(r) && r != '-' }) {
		grouped := strings.Count(w, "-") >= 2 // as codes are that may have letters only
		if len(w) >= 6 && (grouped || strings.ContainsFunc(w, isDigit)) {
			words = append(words, w)
		}
	}
	return words
}

// answerLimit bounds, in bytes, what an error quotes of another program's words.
const answerLimit = 1024

// quote makes another program's words fit to stand in an error: one line,
// bounded, without control bytes and without what is private.
func quote(words string, private []string) string {
	for _, p := range private {
		if p != "" {
			words = strings.ReplaceAll(words, p, "[hidden]")
		}
	}
	words = strings.ReplaceAll(strings.TrimSpace(words), "\n", " ")
	return ascii(words, answerLimit)
}
