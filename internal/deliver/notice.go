package deliver

import (
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// A Notice is a mail that tells a person what happened to their second factor. User,
// Service, Address and what stands in What may come from outside: each is shown as printable ASCII.
type Notice struct {
	Host    string
	User    string
	Service string        // PAM service: "sshd", "sudo"; empty: not told
	Address string        // where from; empty or "local": this very machine
	At      time.Time     // shown in its own time zone
	To      string        // email address
	Subject text.Sentence // without the host: "Second factor changed"
	What    text.Sentence // "An authenticator app was added."
	Advice  text.Sentence // what to do if it was not you
	Words   *text.Printer // of who reads it
}

// Email returns the notice as a message with that ID.
func (n Notice) Email(id string) mfa.Message {
	short := func(word string) string { return ASCII(word, FieldLimit) }
	return mfa.Message{
		ID: id, Carrier: mfa.Email, To: n.To, Subject: n.Words.Say("%s on %s", n.Subject, short(n.Host)),
		Text: folded(n.Words, n.What.Mapped(short).In(n.Words)) + "\n\n" +
			rows(n.Words, n.Host, n.User, n.Service, n.Address, n.At) + "\n" +
			folded(n.Words, n.Advice.In(n.Words)) + "\n",
	}
}
