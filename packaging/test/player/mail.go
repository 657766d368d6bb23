package main

import (
	"crypto/tls"
	"net"

	"mfa/internal/deliver/delivertest"
)

// The account of the people at the outside relay, as mail-relay.md has it.
const (
	relayUser     = "login@example.com"
	relayPassword = "the password"
)

// serveMail is a mail server that delivers to the people.
func (w *world) serveMail(l net.Listener) {
	relay := &delivertest.Relay{Take: w.mailed}
	relay.Accept(l)
}

// serveRelay is an outside relay that wants encryption and a login. Its certificate comes
// from the page, which has the authority believed.
func (w *world) serveRelay(l net.Listener) {
	relay := &delivertest.Relay{
		Take: w.mailed,
		TLS: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(home+"relay.pem", home+"relay.key")
			return &pair, err
		}},
		Login: func(user, password string) bool { return user == relayUser && password == relayPassword },
	}
	relay.Accept(l)
}

func (w *world) mailed(to, text string) { w.take(message{to, plain(text)}) }

// plain returns the text of a mail.
func plain(raw string) string {
	m, err := delivertest.ReadMail(raw)
	if err != nil {
		return raw
	}
	return m.Text
}
