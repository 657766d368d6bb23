package mail

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

var testTime = time.Date(2026, 3, 1, 14, 3, 5, 0, time.FixedZone("CET", 3600))

const recoveryCode = "abcd-efgh-2345-6789"

// codeNotice returns what a login has mailed.
func codeNotice(language string) deliver.CodeNotice {
	return deliver.CodeNotice{
		Code: "123456", Host: "web1.example.com", User: "alice", Service: "sshd", Address: "203.0.113.7",
		Sent: testTime, Lifetime: 10 * time.Minute, To: "alice@example.com", Words: text.In(language),
	}
}

// lockNotice returns what a lock has mailed.
func lockNotice(language string) Notice {
	return Notice{
		Host: "web1.example.com", User: "alice", Service: "sshd", Address: "203.0.113.7", At: testTime, To: "alice@example.com",
		Subject: text.Of("Second factor locked"), What: text.Of("An authenticator app was set up for you, by an administrator."),
		Advice: text.Of("%s\n\n%s", text.Of("Recovery code: %s\n\nIt ends the lock: log in again and type it where it is asked for. Your\n"+
			"second factor is asked for after it. It works once, for %s.\nGive it to nobody.", recoveryCode, text.SpanOf(24*time.Hour)),
			text.Of("If this was not you, somebody knows your password (or key): change it,\nand tell your administrator.")),
		Code: recoveryCode, Words: text.In(language),
	}
}

func newWriter(t testing.TB, cfg deliver.EmailConfig) *Writer {
	t.Helper()
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestCode(t *testing.T) {
	want := mfa.Message{
		ID: "m1", Carrier: mfa.Email, To: "alice@example.com", Language: "en",
		Subject: "Login code for web1.example.com",
		Text: `Your code: 123456

It completes this login:

  Host:     web1.example.com
  User:     alice
  Service:  sshd
  From:     203.0.113.7
  Time:     2026-03-01 14:03:05 +0100 (CET)

The code works once, within 10 minutes, until 14:13:05.
Type it only at the prompt of that login. Give it to nobody.

If this was not you, somebody has your password (or key):
change it now and tell your administrator.
`,
	}
	var none *Writer
	if got := none.Code("m1", codeNotice("")); got != want {
		t.Errorf("message is\n%+v\nwant\n%+v", got, want)
	}
	if got := newWriter(t, deliver.EmailConfig{}).Code("m1", codeNotice("")); got != want {
		t.Errorf("without HTML it is\n%+v\nwant\n%+v", got, want)
	}
	n := codeNotice("")
	for _, local := range []string{"", "local"} {
		n.Address = local
		if text := none.Code("m1", n).Text; !strings.Contains(text, "  From:     this machine itself\n") {
			t.Errorf("address %q: %q", local, text)
		}
	}
}

func TestNotice(t *testing.T) {
	const want = `An authenticator app was set up for you, by an administrator.

  Host:     web1.example.com
  User:     alice
  Service:  sshd
  From:     203.0.113.7
  Time:     2026-03-01 14:03:05 +0100 (CET)

Recovery code: abcd-efgh-2345-6789

It ends the lock: log in again and type it where it is asked for. Your
second factor is asked for after it. It works once, for 24 hours.
Give it to nobody.

If this was not you, somebody knows your password (or key): change it,
and tell your administrator.
`
	var none *Writer
	m := none.Notice("m1", lockNotice(""))
	if m.Text != want || m.Subject != "Second factor locked on web1.example.com" || m.ID != "m1" || m.To != "alice@example.com" {
		t.Errorf("message is\n%+v\nwant\n%s", m, want)
	}
	n := lockNotice("")
	n.Service = "ss\nhd"
	if text := none.Notice("1", n).Text; !strings.Contains(text, "\n  Service:  ss?hd\n") {
		t.Errorf("text %q", text)
	}
	n.Service = ""
	if text := none.Notice("1", n).Text; strings.Contains(text, "Service") {
		t.Errorf("text %q", text)
	}
}

// The subject has a code only if that is asked for, and never a recovery code.
func TestCodeInSubject(t *testing.T) {
	for _, tc := range []struct {
		cfg  deliver.EmailConfig
		want string
	}{
		{deliver.EmailConfig{}, "Login code for web1.example.com"},
		{deliver.EmailConfig{Subject: "Hello"}, "Hello"},
		{deliver.EmailConfig{CodeInSubject: true}, "123456: Login code for web1.example.com"},
		{deliver.EmailConfig{CodeInSubject: true, Subject: "Hello"}, "123456: Hello"},
	} {
		w := newWriter(t, tc.cfg)
		if got := w.Code("1", codeNotice("")).Subject; got != tc.want {
			t.Errorf("%+v: subject %q, want %q", tc.cfg, got, tc.want)
		}
		if got := w.Notice("1", lockNotice("")).Subject; got != "Second factor locked on web1.example.com" {
			t.Errorf("%+v: subject of a notice %q", tc.cfg, got)
		}
	}
}

// A lock screen shows the beginning of a mail, of whichever part its program takes: the code
// must be there, in each language, as phones look for it: behind the word, a colon and one
// blank, and nothing behind it in its line.
func TestCodeIsFirst(t *testing.T) {
	first := map[string]string{"en": "Your code: 123456", "de": "Ihr Code: 123456", "ja": "コード: 123456"}
	w := newWriter(t, deliver.EmailConfig{HTML: true})
	for _, language := range append(text.Languages(), "en") {
		m := w.Code("1", codeNotice(language))
		line, _, _ := strings.Cut(m.Text, "\n")
		if line != first[language] || m.Language != language {
			t.Errorf("%s: the first line is %q, want %q", language, line, first[language])
		}
		d := readHTML(t, m.HTML)
		if !strings.HasPrefix(d.text, first[language]+" ") || d.codes != "123456" || d.language != language {
			t.Errorf("%s: the HTML is in %q, shows %q, and large %q", language, d.language, d.text, d.codes)
		}
		if d = readHTML(t, w.Notice("1", lockNotice(language)).HTML); d.codes != recoveryCode {
			t.Errorf("%s: the HTML of a notice shows large %q", language, d.codes)
		}
	}
}

// The HTML says what the text says.
func TestBothSayTheSame(t *testing.T) {
	w := newWriter(t, deliver.EmailConfig{HTML: true})
	for _, language := range append(text.Languages(), "en") {
		for _, m := range []mfa.Message{w.Code("1", codeNotice(language)), w.Notice("1", lockNotice(language))} {
			blanks := regexp.MustCompile(`\s`)
			said := blanks.ReplaceAllString(m.Text, "")
			shown := blanks.ReplaceAllString(readHTML(t, m.HTML).text, "")
			for _, name := range []string{"Host", "User", "Service", "From", "Time"} {
				name = text.In(language).Say(name)
				said = strings.Replace(said, name+":", name, 1)
			}
			if said != shown {
				t.Errorf("%s: text\n%s\nHTML\n%s", language, said, shown)
			}
		}
	}
}

// Nothing in the HTML can be followed, is loaded or is coloured, whoever the user is.
func TestHTMLHasNoLinks(t *testing.T) {
	w := newWriter(t, deliver.EmailConfig{HTML: true})
	n := codeNotice("")
	n.User, n.Host, n.Address = `<a href="https://evil.example/">`, `"><img src=x onerror=alert(1)>`, `</td><script>1</script>`
	m := w.Code("1", n)
	d := readHTML(t, m.HTML)
	want := []string{"body", "head", "html", "meta", "p", "strong", "table", "td", "tr"}
	if got := slices.Sorted(maps.Keys(d.elements)); !slices.Equal(got, want) {
		t.Errorf("elements %q, want %q", got, want)
	}
	want = []string{"charset", "content", "lang", "name", "style"}
	if got := slices.Sorted(maps.Keys(d.attributes)); !slices.Equal(got, want) {
		t.Errorf("attributes %q, want %q", got, want)
	}
	for _, hostile := range []string{n.User, n.Host, n.Address} {
		if !strings.Contains(d.text, hostile) {
			t.Errorf("%q is not shown in %q", hostile, d.text)
		}
	}
	for _, bad := range []string{"url(", "color:", "background", "//"} {
		if strings.Contains(strings.ReplaceAll(m.HTML, "https://evil.example/", ""), bad) {
			t.Errorf("there is %q in %q", bad, m.HTML)
		}
	}
	if len(m.HTML) > 4000 {
		t.Errorf("%d bytes are not small", len(m.HTML))
	}
}

// A document is what a reader sees of HTML that is written as XML is, but for empty elements.
type document struct {
	elements, attributes  map[string]bool
	text, codes, language string
}

// readHTML reads it by another parser than New does.
func readHTML(t testing.TB, html string) document {
	t.Helper()
	doc := document{elements: map[string]bool{}, attributes: map[string]bool{}}
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var within []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			doc.text = strings.Join(strings.Fields(doc.text), " ")
			return doc
		}
		if err != nil {
			t.Fatalf("%v in %q", err, html)
		}
		switch token := token.(type) {
		case xml.StartElement:
			doc.elements[token.Name.Local] = true
			within = append(within, token.Name.Local)
			for _, a := range token.Attr {
				doc.attributes[a.Name.Local] = true
				if a.Name.Local == "lang" {
					doc.language = a.Value
				}
			}
		case xml.EndElement:
			within = within[:len(within)-1]
		case xml.CharData:
			doc.text += string(token)
			if slices.Contains(within, "strong") {
				doc.codes += string(token)
			}
		}
	}
}
