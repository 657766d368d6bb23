package smtp

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// A letter is a message ready to be handed over.
type letter struct {
	from, to mail.Address // of the envelope; without names
	data     []byte       // header and body (RFC 5322), lines end with CRLF
	private  []string     // what no error may quote
}

// quote is carrier.Quote for the words of a relay or program about l. It hides secrets and
// the code in l, and masks the recipient.
func (l letter) quote(said string, secrets ...string) string {
	said = carrier.Hide(said, deliver.Mask(l.to.Address), l.to.Address)
	return carrier.Quote(said, append(secrets, l.private...))
}

// compose writes the message that m stands for.
func (e *Email) compose(m mfa.Message) (letter, error) {
	if !mfa.IsAddress(m.To) {
		return letter{}, fmt.Errorf("recipient %q is not an email address", deliver.Mask(m.To))
	}
	to := mail.Address{Address: m.To}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&e.from)
	msg.ToMailAddress(&to)
	msg.Subject(carrier.OneLine(m.Subject))
	msg.SetDateWithValue(e.now())
	msg.SetMessageIDWithValue(messageID(m.ID) + "@" + e.host)
	if e.replyTo.Address != "" {
		msg.ReplyToMailAddress(&e.replyTo)
	}
	if m.Language != "" {
		msg.SetGenHeader(gomail.HeaderContentLang, m.Language)
	}
	// No automatic responder shall answer this: RFC 3834, and for Exchange MS-OXCMAIL,
	// 2.1.3.2.20, where NDR is left out: bounces are welcome.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML) // last, as what is best to show (RFC 2046, 5.1.4)
	}
	var data bytes.Buffer
	if _, err := msg.WriteTo(&data); err != nil {
		return letter{}, fmt.Errorf("compose: %w", err)
	}
	return letter{
		from: mail.Address{Address: e.from.Address}, to: to,
		data: data.Bytes(), private: carrier.PrivateWords(m.Text),
	}, nil
}

// bare returns the address as RFC 5321 writes it, without angle brackets.
func bare(a mail.Address) string {
	return strings.TrimSuffix(strings.TrimPrefix(a.String(), "<"), ">")
}

// messageID returns the left side of a Message-ID (RFC 5322, 3.6.4): id, so that
// the mail can be found by what the logs call it, or a random one.
func messageID(id string) string {
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return !deliver.IsWord(r) && r != '-' && r != '_' }) {
		return rand.Text()
	}
	return id
}
