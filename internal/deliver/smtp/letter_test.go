package smtp

import (
	"mime"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/deliver/mail"
	"mfa/internal/mfa"
)

// A mail is text before HTML that says the same, or text alone; answers go where it was asked,
// and its identifier is in the sender's domain.
func TestCompose(t *testing.T) {
	cfg := smtpConfig("relay.example.com", 25)
	cfg.From, cfg.ReplyTo = "Zoë <login@example.org>", "Help <help@example.net>"
	e := newEmail(t, cfg)
	for _, html := range []string{"", "<p>" + strings.Repeat("long ", 1000) + "ä</p>\n"} {
		m := mfa.Message{ID: "id1", To: "alice@example.com", Subject: "Anmeldung für Zoë", Text: ".\nFrom ä\n" + strings.Repeat("x", 2000) + "\n", HTML: html, Language: "de"}
		l, err := e.compose(m)
		if err != nil {
			t.Fatal(err)
		}
		got := delivertest.ParseMail(t, string(l.data))
		if got.Text != m.Text || got.HTML != m.HTML {
			t.Errorf("came as %q and %q", got.Text, got.HTML)
		}
		if alternative := strings.HasPrefix(got.Header.Get("Content-Type"), "multipart/alternative;"); alternative != (html != "") {
			t.Errorf("it is %q", got.Header.Get("Content-Type"))
		}
		for name, want := range map[string]string{
			"Message-Id": "<id1@example.org>", "Reply-To": `"Help" <help@example.net>`, "To": "<alice@example.com>", "Content-Language": "de",
		} {
			if v := got.Header.Get(name); v != want {
				t.Errorf("%s: %q, want %q", name, v, want)
			}
		}
		for name, want := range map[string]string{"From": "Zoë <login@example.org>", "Subject": m.Subject} {
			v, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get(name))
			if v = strings.ReplaceAll(v, `"`, ""); err != nil || v != want {
				t.Errorf("%s: %q (%v)", name, v, err)
			}
		}
		if bare(l.from) != "login@example.org" {
			t.Errorf("the envelope is from %q", bare(l.from))
		}
	}
}

// Whatever the fields of a notice hold, the mail has one header and one body. The subject is as
// long as mfa.toml may have it, and the host as a name in the DNS.
func FuzzCompose(f *testing.F) {
	f.Add("alice", "203.0.113.7", "sshd", "web1", "Subject")
	f.Add("a\r\nBcc: x@y.z\r\n\r\n", "::1%eth0", "\x1b]0;x\a", strings.Repeat("ü", 300), "a\nb: c")
	f.Fuzz(func(t *testing.T, user, address, service, host, subject string) {
		subject, host = subject[:min(len(subject), 200)], host[:min(len(host), 255)]
		w, err := mail.New(deliver.EmailConfig{HTML: true, Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		m := w.Code("m1", deliver.CodeNotice{
			Code: "123456", Host: host, User: user, Service: service, Address: address,
			Sent: testTime, Lifetime: testLifetime, To: "alice@example.com",
		})
		e := &Email{host: "localhost", now: time.Now}
		e.from.Address = "mfa@localhost"
		l, err := e.compose(m)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(l.data), "\r\n\r\n")
		for h := range strings.SplitSeq(head, "\r\n") {
			name, _, _ := strings.Cut(h, ":")
			if strings.EqualFold(name, "Bcc") || strings.ContainsAny(h, "\r\n") {
				t.Errorf("header line %q", h)
			}
		}
		for line := range strings.SplitSeq(string(l.data), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n") { // RFC 5322, 2.1.1
				t.Errorf("line %q", line)
			}
		}
		if got := delivertest.ParseMail(t, string(l.data)); got.Text != m.Text || got.HTML != m.HTML {
			t.Errorf("%q came as %q", m, got)
		}
	})
}

// A letter goes to just what was said, or there is none.
func FuzzRecipient(f *testing.F) {
	for _, to := range []string{"alice@example.com", "<alice@example.com>", `"a b"@example.com`, "a@[192.0.2.1]", "ä@exämple.com", "g:a@b;", strings.Repeat("l", 242) + "@example.com"} {
		f.Add(to)
	}
	f.Fuzz(func(t *testing.T, to string) {
		e := &Email{host: "localhost", now: time.Now}
		e.from.Address = "mfa@localhost"
		l, err := e.compose(mfa.Message{To: to, Subject: "s", Text: "t"})
		if (err == nil) != mfa.IsAddress(to) {
			t.Fatalf("%q: %v", to, err)
		}
		if err != nil {
			return
		}
		if bare(l.to) != to || l.to.String() != "<"+to+">" {
			t.Errorf("%q has the envelope %q", to, l.to.String())
		}
		header, err := delivertest.ParseMail(t, string(l.data)).Header.AddressList("To")
		if err != nil || len(header) != 1 || header[0].Address != to {
			t.Errorf("%q has the header %v, %v", to, header, err)
		}
	})
}
