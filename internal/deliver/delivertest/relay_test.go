package delivertest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/smtp"
	"os"
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

// A Relay with a login takes mail of those who know the password, behind STARTTLS.
func TestRelayWithLogin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ca := delivertest.NewCA(t)
	taken := make(chan string, 1)
	relay := &delivertest.Relay{
		Take:  func(to, _ string) { taken <- to },
		TLS:   &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1")}},
		Login: func(user, password string) bool { return user == "login" && password == "right" },
	}
	go relay.Accept(l)
	for password, want := range map[string]string{"right": "", "wrong": "535", "": "530"} {
		if err := send(t, l.Addr().String(), ca.File, password); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("with the password %q: %v", password, err)
		}
	}
	if got := <-taken; got != "b@example.com" {
		t.Errorf("took a mail to %q", got)
	}
}

// send sends a mail over STARTTLS; with no password it does not log in.
func send(t *testing.T, addr, ca, password string) error {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	if password != "" {
		if err := c.Auth(smtp.PlainAuth("", "login", password, "127.0.0.1")); err != nil {
			return err
		}
	}
	if err := c.Mail("a@example.com"); err != nil {
		return err
	}
	if err := c.Rcpt("b@example.com"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	return w.Close()
}
