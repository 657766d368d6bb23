package mail

import (
	"slices"
	"strings"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/text"
)

// Fields are what a template can show, in the language of who reads it; mfa.toml(5) says so
// to administrators. What came from outside is one short line of printable ASCII.
type Fields struct {
	Language string // its tag (RFC 5646), like "de"
	Subject  string // what we would take
	Code     string // of the login; in the notice of a lock the recovery code, in others empty
	Host     string // machine that is logged in to
	User     string // account that is logged in to
	Service  string // PAM service; in some notices empty
	Address  string // where from, or that it is this machine
	Time     string
	Lifetime string // how long the code works, like "10 minutes"; in notices empty
	Until    string // when it ends, like "14:13:05"; in notices empty

	Opening []Paragraph // the code, or what happened
	Facts   []Fact      // host, user, service, address and time, with their names
	Advice  []Paragraph // what to do, also if it was not the reader
}

// withoutCode returns the fields with the code taken out of each text.
func (f Fields) withoutCode() Fields {
	if f.Code == "" {
		return f
	}
	code := f.Code
	f.Code = ""
	of := func(all []Paragraph) []Paragraph {
		clean := slices.Clone(all)
		for i := range clean {
			clean[i].Text, clean[i].Code = strings.ReplaceAll(clean[i].Text, code, ""), ""
		}
		return clean
	}
	f.Opening, f.Advice = of(f.Opening), of(f.Advice)
	return f
}

// A Paragraph is a text, behind which a code may stand.
type Paragraph struct {
	Text string // in one line, or some
	Code string // mostly empty

	broken bool // it is in lines already, as English is
}

// columns is how wide the lines of a text are at most.
const columns = 71

// String returns the paragraph in lines for a mail in plain text.
func (p Paragraph) String() string {
	said := strings.TrimSpace(p.Text + " " + p.Code)
	if p.broken {
		return said
	}
	return text.Fold(said, columns)
}

// A Fact is something that a mail is about.
type Fact struct {
	Name, Value string

	columns int // of the longest name
}

// String returns the fact as a line of a table in plain text.
func (f Fact) String() string { return text.Pad(f.Name+":", f.columns+1) + "  " + f.Value }

// A Notice is a mail that tells a person what happened to their second factor. User,
// Service, Address and what stands in What may come from outside.
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
	Code    string        // the recovery code that is in Advice; empty: there is none
	Words   *text.Printer // of who reads it
}

func fieldsOfCode(n deliver.CodeNotice) Fields {
	w := n.Words
	f := about(w, n.Host, n.User, n.Service, n.Address, n.Sent)
	f.Subject = w.Say("Login code for %s", f.Host)
	f.Code, f.Lifetime, f.Until = n.Code, w.Say("%s", text.Exact(n.Lifetime)), n.Sent.Add(n.Lifetime).Format("15:04:05")
	f.Opening = append(paragraphs(w, w.Say("Your code: %s", n.Code), n.Code), Paragraph{Text: w.Say("It completes this login:"), broken: w == nil})
	f.Advice = paragraphs(w, w.Say("The code works once, within %s, until %s.", text.Exact(n.Lifetime), f.Until)+"\n"+
		w.Say("Type it only at the prompt of that login. Give it to nobody.")+"\n\n"+
		w.Say("If this was not you, somebody has your password (or key):\nchange it now and tell your administrator."), n.Code)
	return f
}

func fieldsOfNotice(n Notice) Fields {
	w := n.Words
	f := about(w, n.Host, n.User, n.Service, n.Address, n.At)
	f.Subject, f.Code = w.Say("%s on %s", n.Subject, f.Host), n.Code
	f.Opening = paragraphs(w, n.What.Mapped(short).In(w), n.Code)
	f.Advice = paragraphs(w, n.Advice.In(w), n.Code)
	return f
}

// about returns the fields that say what a mail is about.
func about(w *text.Printer, host, user, service, address string, at time.Time) Fields {
	if address == "" || address == "local" {
		address = w.Say("this machine itself")
	} else {
		address = short(address)
	}
	f := Fields{
		Language: w.Tag(), Host: short(host), User: short(user), Service: short(service), Address: address,
		Time: at.Format("2006-01-02 15:04:05 -0700 (MST)"),
	}
	f.Facts = []Fact{
		{Name: w.Say("Host"), Value: f.Host},
		{Name: w.Say("User"), Value: f.User},
		{Name: w.Say("Service"), Value: f.Service},
		{Name: w.Say("From"), Value: f.Address},
		{Name: w.Say("Time"), Value: f.Time},
	}
	widest := 0
	for _, fact := range f.Facts {
		widest = max(widest, text.Width(fact.Name))
	}
	for i := range f.Facts {
		f.Facts[i].columns = widest
	}
	if service == "" {
		f.Facts = append(f.Facts[:2:2], f.Facts[3:]...)
	}
	return f
}

// short returns a name from outside as it stands in a mail.
func short(name string) string { return deliver.ASCII(name, deliver.FieldLimit) }

// paragraphs divides what w said at its empty lines. A code at the end of one stands apart.
func paragraphs(w *text.Printer, said, code string) (all []Paragraph) {
	for part := range strings.SplitSeq(said, "\n\n") {
		p := Paragraph{Text: part, broken: w == nil}
		if before, ok := strings.CutSuffix(part, code); ok && code != "" {
			p.Text, p.Code = strings.TrimSpace(before), code
		}
		all = append(all, p)
	}
	return all
}
