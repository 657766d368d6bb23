package deliver

import (
	"fmt"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// A Notice is a mail that tells a person what happened to their second factor. User,
// Service, Address and What may come from outside: each is shown as printable ASCII.
type Notice struct {
	Host    string
	User    string
	Service string    // PAM service: "sshd", "sudo"; empty: not told
	Address string    // where from; empty or "local": this very machine
	At      time.Time // shown in its own time zone
	To      string    // email address
	Subject string    // without the host: "Second factor changed"
	What    string    // a sentence: "An authenticator app was added."
	Advice  string    // a sentence: what to do if it was not you
}

// Email returns the notice as a message with that ID.
func (n Notice) Email(id string) mfa.Message {
	address := n.Address
	if address == "" || address == "local" {
		address = "this machine itself"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", ASCII(n.What, 2*FieldLimit))
	for _, row := range [...][2]string{
		{"Host", n.Host},
		{"User", n.User},
		{"Service", n.Service},
		{"From", address},
		{"Time", n.At.Format("2006-01-02 15:04:05 -0700 (MST)")},
	} {
		if row[1] == "" {
			continue
		}
		fmt.Fprintf(&b, "  %-8s  %s\n", row[0]+":", ASCII(row[1], FieldLimit))
	}
	fmt.Fprintf(&b, "\n%s\n", n.Advice)
	return mfa.Message{
		ID: id, Carrier: mfa.Email, To: n.To,
		Subject: n.Subject + " on " + ASCII(n.Host, FieldLimit), Text: b.String(),
	}
}
