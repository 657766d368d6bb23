package smtp

import (
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// Whatever the fields of a notice hold, the mail has one header and one body.
func FuzzCompose(f *testing.F) {
	f.Add("alice", "203.0.113.7", "sshd", "web1", "Subject")
	f.Add("a\r\nBcc: x@y.z\r\n\r\n", "::1%eth0", "\x1b]0;x\a", strings.Repeat("ü", 300), "a\nb: c")
	f.Fuzz(func(t *testing.T, user, address, service, host, subject string) {
		m := deliver.CodeNotice{
			Code: "123456", Host: host, User: user, Service: service, Address: address,
			Sent: testTime, Lifetime: testLifetime, To: "alice@example.com", Subject: subject,
		}.Email("m1")
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
