package deliver

import (
	"fmt"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// A CodeNotice is a message with a login code. Host, User, Service and Address may come
// from outside: each is shown as one short line of printable ASCII.
type CodeNotice struct {
	Code     string
	Host     string        // machine that is logged in to
	User     string        // account that is logged in to
	Service  string        // PAM service: "sshd", "sudo"
	Address  string        // where from; empty or "local": this very machine
	Sent     time.Time     // shown in its own time zone
	Lifetime time.Duration // how long the code works, from Sent
	To       string        // email address; for SMS the number in E.164
	Subject  string        // of an email; empty: "Login code for HOST"
}

// Email returns the notice as a message with that ID. The subject never holds the
// code: subjects show on locked screens and in the logs of mail servers. Lines
// of the text are shorter than 72 characters.
func (n CodeNotice) Email(id string) mfa.Message {
	subject := n.Subject
	if subject == "" {
		subject = "Login code for " + ASCII(n.Host, FieldLimit)
	}
	return mfa.Message{ID: id, Carrier: mfa.Email, To: n.To, Subject: subject, Text: n.text()}
}

// FieldLimit keeps a field and its label within one line of the text.
const FieldLimit = 54

func (n CodeNotice) text() string {
	address := n.Address
	if address == "" || address == "local" {
		address = "this machine itself"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Your code: %s\n\n", n.Code)
	b.WriteString("It completes this login:\n\n")
	for _, row := range [...][2]string{
		{"Host", n.Host},
		{"User", n.User},
		{"Service", n.Service},
		{"From", address},
		{"Time", n.Sent.Format("2006-01-02 15:04:05 -0700 (MST)")},
	} {
		fmt.Fprintf(&b, "  %-8s  %s\n", row[0]+":", ASCII(row[1], FieldLimit))
	}
	fmt.Fprintf(&b, "\nThe code works once, within %s, until %s.\n",
		span(n.Lifetime), n.Sent.Add(n.Lifetime).Format("15:04:05"))
	b.WriteString("Type it only at the prompt of that login. Give it to nobody.\n\n")
	b.WriteString("If this was not you, somebody has your password (or key):\n")
	b.WriteString("change it now and tell your administrator.\n")
	return b.String()
}

// span says a duration in its largest whole unit: "10 minutes", "90 seconds".
func span(d time.Duration) string {
	for _, u := range [...]struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= u.size && d%u.size == 0 {
			return count(int64(d/u.size), u.name)
		}
	}
	return count(int64(d/time.Second), "second")
}

func count(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// ASCII returns at most limit characters of s, which ends with "..." if it was cut. Other
// characters than printable ASCII become question marks. Limit must be at least 3.
func ASCII(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == limit {
			return b.String()[:limit-3] + "..."
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}
