package mail

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"mfa/internal/deliver"
	"mfa/internal/text"
)

// mostSubject bounds a subject, in bytes: email.subject has the same.
const mostSubject = 200

// try fills in a form with made-up mails in each language, with and without what may be
// missing, and says what is wrong with one.
func try(f form, kind string) error {
	for _, fields := range samples(kind) {
		m, err := f.fill(fields)
		if err == nil {
			err = tell(m.Text, f.text.Name(), kind, fields)
		}
		if err == nil && f.html != nil {
			err = tryHTML(m.HTML, f.html.Name(), kind, fields)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// samples returns what a template of a kind is tried with.
func samples(kind string) (all []Fields) {
	const code = "8642097531"
	at := time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC)
	for _, language := range append([]string{""}, text.Languages()...) {
		for _, host := range []string{"web1", strings.Repeat("host", 20)} {
			words, service := text.In(language), "sshd"
			if kind == kindCode {
				all = append(all, fieldsOfCode(deliver.CodeNotice{
					Code: code, Host: host, User: "alice", Service: service, Address: "2001:db8::1", Sent: at, Lifetime: time.Hour, Words: words,
				}))
				continue
			}
			n := Notice{
				Host: host, User: "alice", At: at, Subject: text.Of("Second factor locked"),
				What: text.Of("A program on this machine typed too many wrong codes in your name, and is locked out for now."), Words: words,
			}
			all = append(all, fieldsOfNotice(n))
			n.Service, n.Address, n.Code, n.Advice = service, "2001:db8::1", code, text.Of("%s", code)
			all = append(all, fieldsOfNotice(n))
		}
	}
	return all
}

var errCodeInSubject = errors.New("the code is in the subject, or decides what stands there, which is seen while a phone is locked; " +
	"that of a login may be, with email.code_in_subject = true")

// trySubject says what is wrong with the subject of a mail.
func trySubject(subject string) error {
	switch {
	case subject == "":
		return errors.New("the subject is empty")
	case strings.ContainsFunc(subject, unicode.IsControl):
		return errors.New("a control character in the subject, which must be one line")
	case len(subject) > mostSubject:
		return fmt.Errorf("a subject of %d bytes is too long; allowed: %d", len(subject), mostSubject)
	}
	return nil
}

// tryHTML says what is wrong with the HTML of a mail, which must show what the mail is about.
func tryHTML(said, name, kind string, fields Fields) error {
	text, err := shown(said, name, fields.Code)
	if err != nil {
		return err
	}
	return tell(text, name, kind, fields)
}

// tell says whether a mail, or its HTML without tags, leaves out what a notice is about.
func tell(said, name, kind string, fields Fields) error {
	solid := func(s string) string { return strings.Join(strings.Fields(s), "") } // however it is folded
	if kind == kindNotice && !strings.Contains(solid(said), solid(fields.Opening[0].Text)) {
		return fmt.Errorf("%s: does not say what happened; write {{range .Opening}}{{.Text}}{{end}} where it shall stand", name)
	}
	return nil
}
