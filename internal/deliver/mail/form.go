package mail

import (
	_ "embed" // of our templates
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	"sync"
	"text/template"

	"mfa/internal/mfa"
)

// mostBytes bounds a template, and what it makes.
const mostBytes = 64 << 10

// A form is what the mails of one kind are made by.
type form struct {
	subject *template.Template // nil: Fields.Subject
	text    *template.Template
	html    *htmltemplate.Template // nil: the mail has none

	codeInSubject bool // the subject may show the code
}

//go:embed mail.txt
var ourText string

//go:embed mail.html
var ourHTML string

// builtIn is our form of all mails.
var builtIn = sync.OnceValue(func() form {
	return form{
		text: template.Must(template.New("mail.txt").Parse(ourText)),
		html: htmltemplate.Must(htmltemplate.New("mail.html").Parse(ourHTML)),
	}
})

// fill returns the mail that f makes of fields. It fails if a template does, or does not
// show the code, or has it in a tag of HTML, or makes no good subject; the error begins with the
// template's name.
func (f form) fill(fields Fields) (m mfa.Message, err error) {
	m = mfa.Message{Carrier: mfa.Email, Language: fields.Language, Subject: fields.Subject}
	if f.subject != nil {
		if m.Subject, err = f.subjectOf(fields); err != nil {
			return m, err
		}
	}
	if m.Text, err = run(f.text, fields); err != nil {
		return m, err
	}
	m.Text = strings.Trim(m.Text, "\n") + "\n"
	if !strings.Contains(m.Text, fields.Code) {
		return m, noCode(f.text.Name())
	}
	if f.html == nil {
		return m, nil
	}
	if m.HTML, err = run(f.html, fields); err != nil {
		return m, err
	}
	_, err = shown(m.HTML, f.html.Name(), fields.Code)
	return m, err
}

// subjectOf returns the subject that f makes of fields. Unless the subject may show the code, it
// is made without one, and must be the same with it.
func (f form) subjectOf(fields Fields) (string, error) {
	subject, err := run(f.subject, fields)
	if err != nil {
		return "", err
	}
	if !f.codeInSubject {
		without, err := run(f.subject, fields.withoutCode())
		if err == nil && without != subject {
			err = fmt.Errorf("%s:1: %w", f.subject.Name(), errCodeInSubject)
		}
		if err != nil {
			return "", err
		}
	}
	subject = strings.TrimSpace(subject)
	if err := trySubject(subject); err != nil {
		return "", fmt.Errorf("%s:1: %w", f.subject.Name(), err)
	}
	return subject, nil
}

func noCode(name string) error {
	return fmt.Errorf("%s: does not show the code; write {{.Code}} where it shall stand", name)
}

// A filler is a template of text or HTML.
type filler interface {
	Name() string
	Execute(w io.Writer, data any) error
}

// run returns what a template makes of fields.
func run(t filler, fields Fields) (string, error) {
	var p page
	err := t.Execute(&p, fields)
	switch {
	case errors.Is(err, errTooLong):
		return "", fmt.Errorf("%s: %w", t.Name(), errTooLong)
	case err != nil:
		return "", located(err)
	}
	return p.String(), nil
}

// located returns an error of a template so that it begins with the template's name, which
// the line follows.
func located(err error) error {
	said := strings.TrimPrefix(err.Error(), "html/")
	said = strings.TrimPrefix(said, "template:")
	return errors.New(strings.TrimSpace(said))
}

// A page takes what a template makes.
type page struct{ strings.Builder }

var errTooLong = fmt.Errorf("makes more than %d KiB", mostBytes>>10)

// Write implements io.Writer. It fails when there is too much.
func (p *page) Write(b []byte) (int, error) {
	if p.Len()+len(b) > mostBytes {
		return 0, errTooLong
	}
	return p.Builder.Write(b)
}
