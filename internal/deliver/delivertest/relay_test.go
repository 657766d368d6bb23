package delivertest_test

import (
	"net"
	"net/smtp"
	"strings"
	"testing"

	"mfa/internal/deliver/delivertest"
)

// A Relay takes a mail as it was written, or answers as it is told.
func TestRelay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := make(chan string, 1)
	relay := &delivertest.Relay{
		Take: func(to, text string) { taken <- to + "\n" + text },
		Rcpt: func(to string) string {
			if strings.HasPrefix(to, "nobody@") {
				return "550 never"
			}
			return "250 ok"
		},
	}
	go relay.Accept(l)
	const text = "Subject: dots\r\n\r\n.one\r\n..two\r\nend\r\n"
	if err := smtp.SendMail(l.Addr().String(), nil, "a@example.com", []string{"b@example.com"}, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if got := <-taken; got != "b@example.com\n"+text {
		t.Errorf("took %q", got)
	}
	if err := smtp.SendMail(l.Addr().String(), nil, "a@example.com", []string{"nobody@example.com"}, []byte(text)); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("a recipient that is refused: %v", err)
	}
}
