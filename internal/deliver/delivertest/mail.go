package delivertest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
)

// A Mail is one message as it arrived.
type Mail struct {
	Header mail.Header
	Text   string // decoded, with \n line ends
	HTML   string // likewise; empty: there is none
	Raw    string
}

// ParseMail is ReadMail for a test, which fails with it.
func ParseMail(t testing.TB, raw string) Mail {
	t.Helper()
	m, err := ReadMail(raw)
	if err != nil {
		t.Fatalf("read mail %q: %v", raw, err)
	}
	return m
}

// ReadMail reads a message as the programs under test write it: plain text, quoted-printable,
// alone or before HTML that says the same.
func ReadMail(raw string) (Mail, error) {
	in, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return Mail{}, err
	}
	m := Mail{Header: in.Header, Raw: raw}
	kind, params, err := mime.ParseMediaType(in.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return Mail{}, err
	case kind != "multipart/alternative":
		m.Text, err = part("text/plain", in.Header.Get, in.Body)
		return m, err
	}
	parts := multipart.NewReader(in.Body, params["boundary"])
	for _, of := range []struct {
		kind string
		to   *string
	}{{"text/plain", &m.Text}, {"text/html", &m.HTML}} {
		p, err := parts.NextRawPart()
		if err != nil {
			return Mail{}, err
		}
		if *of.to, err = part(of.kind, p.Header.Get, p); err != nil {
			return Mail{}, err
		}
	}
	if _, err = parts.NextRawPart(); !errors.Is(err, io.EOF) {
		return Mail{}, errors.Join(errors.New("there is more than text and HTML"), err)
	}
	return m, nil
}

// part reads a part of a mail that must be of a kind.
func part(want string, header func(string) string, body io.Reader) (string, error) {
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		return "", err
	}
	if kind != want || !strings.EqualFold(params["charset"], "utf-8") {
		return "", fmt.Errorf("the content is %q, want %q in UTF-8", header("Content-Type"), want)
	}
	if enc := header("Content-Transfer-Encoding"); enc != "quoted-printable" {
		return "", fmt.Errorf("it is encoded as %q, want quoted-printable", enc)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(body))
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}
