// Package mail writes the mails to people: subject, text and HTML, by templates that are ours
// or an administrator's.
//
// What to know before trusting it: New tries each template with made-up mails, so that one
// that fails, or does not show the code, is refused before it counts. Should one fail all the
// same, its mail is written by ours. What came from outside is printable ASCII in a mail, and
// escaped in its HTML.
package mail

import (
	"strings"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// The kinds of mails, by the names of their templates.
const (
	kindCode   = "code"   // has the code of a login
	kindNotice = "notice" // tells what happened to a second factor
)

// A Writer writes mails. A nil one writes ours, as text alone. It may be used from many
// goroutines.
type Writer struct {
	subject       string // of mails with a code; empty: one that names the host
	codeInSubject bool
	html          bool
	forms         map[string]form // by kind, or kind and language: "code", "code.de"
}

// A TemplateError says what is wrong with the templates of mails.
type TemplateError struct{ error }

// Unwrap returns what is wrong.
func (e *TemplateError) Unwrap() error { return e.error }

// New returns the Writer of the table [email]. It reads the templates and tries them. The
// error is a *TemplateError, begins with the key that is wrong, and names file and line.
func New(cfg deliver.EmailConfig) (*Writer, error) {
	w := &Writer{subject: cfg.Subject, codeInSubject: cfg.CodeInSubject, html: cfg.HTML}
	if cfg.Templates == "" {
		return w, nil
	}
	var err error
	if w.forms, err = load(cfg.Templates, cfg.CodeInSubject); err != nil {
		return w, &TemplateError{err}
	}
	return w, nil
}

// Code returns the mail, with that ID, that has the code of a login.
func (w *Writer) Code(id string, n deliver.CodeNotice) mfa.Message {
	if w == nil {
		w = &Writer{}
	}
	f := fieldsOfCode(n)
	if w.subject != "" {
		f.Subject = w.subject
	}
	m := w.write(kindCode, f)
	if w.codeInSubject && !strings.Contains(m.Subject, n.Code) {
		m.Subject = n.Code + ": " + m.Subject // first, as phones cut long ones
	}
	m.ID, m.To = id, n.To
	return m
}

// Notice returns the mail, with that ID, of a notice.
func (w *Writer) Notice(id string, n Notice) mfa.Message {
	if w == nil {
		w = &Writer{}
	}
	m := w.write(kindNotice, fieldsOfNotice(n))
	m.ID, m.To = id, n.To
	return m
}

// write fills in the form of a kind of mail, or ours if that fails. Ours does not.
func (w *Writer) write(kind string, fields Fields) (m mfa.Message) {
	for _, f := range []form{w.formOf(kind, fields.Language), builtIn()} {
		if !w.html {
			f.html = nil
		}
		var err error
		if m, err = f.fill(fields); err == nil {
			break
		}
	}
	return m
}

// formOf returns the form of a kind of mail in a language: one for that language, else one
// for all, else ours.
func (w *Writer) formOf(kind, language string) form {
	for _, name := range []string{kind + "." + language, kind} {
		if f, ok := w.forms[name]; ok {
			return f
		}
	}
	return builtIn()
}
