package smtp

import (
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
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
