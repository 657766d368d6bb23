package deliver

import (
	"fmt"
	"strings"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
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
	Words    *text.Printer // of who reads it
}

// Email returns the notice as a message with that ID. The subject never holds the
// code: subjects show on locked screens and in the logs of mail servers. Lines
// of the text are shorter than 72 columns.
func (n CodeNotice) Email(id string) mfa.Message {
	subject := n.Subject
	if subject == "" {
		subject = n.Words.Say("Login code for %s", ASCII(n.Host, FieldLimit))
	}
	return mfa.Message{ID: id, Carrier: mfa.Email, To: n.To, Subject: subject, Text: n.text()}
}

// FieldLimit keeps a field and its label within one line of the text.
const FieldLimit = 54

func (n CodeNotice) text() string {
	w := n.Words
	return w.Say("Your code: %s", n.Code) + "\n\n" + w.Say("It completes this login:") + "\n\n" +
		rows(w, n.Host, n.User, n.Service, n.Address, n.Sent) + "\n" +
		folded(w, w.Say("The code works once, within %s, until %s.", text.Exact(n.Lifetime), n.Sent.Add(n.Lifetime).Format("15:04:05"))+"\n"+
			w.Say("Type it only at the prompt of that login. Give it to nobody.")+"\n\n"+
			w.Say("If this was not you, somebody has your password (or key):\nchange it now and tell your administrator.")+"\n")
}

// mailColumns is how wide the lines of a mail are at most.
const mailColumns = 71

// folded breaks the lines of what w said; those in English have their breaks.
func folded(w *text.Printer, said string) string {
	if w == nil {
		return said
	}
	return text.Fold(said, mailColumns)
}

// rows are the lines that say what a mail is about. A service that is empty is left out.
func rows(w *text.Printer, host, user, service, address string, at time.Time) string {
	if address = ASCII(address, FieldLimit); address == "" || address == "local" {
		address = w.Say("this machine itself")
	}
	all := [...][2]string{
		{w.Say("Host"), ASCII(host, FieldLimit)},
		{w.Say("User"), ASCII(user, FieldLimit)},
		{w.Say("Service"), ASCII(service, FieldLimit)},
		{w.Say("From"), address},
		{w.Say("Time"), at.Format("2006-01-02 15:04:05 -0700 (MST)")},
	}
	columns := 0
	for _, row := range all {
		columns = max(columns, text.Width(row[0]))
	}
	var b strings.Builder
	for i, row := range all {
		if i != 2 || service != "" {
			fmt.Fprintf(&b, "  %s  %s\n", text.Pad(row[0]+":", columns+1), row[1])
		}
	}
	return b.String()
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
