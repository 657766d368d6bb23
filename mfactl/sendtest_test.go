package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mfa/internal/deliver/delivertest"
)

// relayCommand has the daemon, once it starts, send mail through an SMTP server
// that takes one message, or refuses at a step.
func relayCommand(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*daemon)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: relay takes|login|sender|recipient|data|gone")
	}
	srv := startRelay(ts, d.t, args[0])
	smtp := &d.cfg.Email.SMTP
	d.cfg.Email.Transport, d.cfg.Email.From = "smtp", "mfa@example.com"
	smtp.Host, smtp.Port = "localhost", srv.Port
	smtp.Username, smtp.PasswordFile = "mailer", ts.MkAbs("password")
}

func startRelay(ts *testscript.TestScript, t testing.TB, refuses string) *delivertest.Server {
	const ok, no = "250 2.0.0 ok", "550 5.7.1 not you"
	quit := delivertest.Quit()
	step := func(want, reply string) []delivertest.Step { return []delivertest.Step{{Want: want, Reply: reply}} }
	hello, in := delivertest.Hello("AUTH PLAIN"), step("AUTH PLAIN ", "235 in")
	var session delivertest.Session
	switch refuses {
	case "takes":
		session = delivertest.Script(hello, in, delivertest.Accept(), quit)
	case "login":
		session = delivertest.Script(hello, step("AUTH PLAIN ", "535 5.7.8 wrong password s3cret-word"), step("*", "501 ok"), quit)
	case "sender":
		session = delivertest.Script(hello, in, step("MAIL FROM:", no), quit)
	case "recipient":
		session = delivertest.Script(hello, in, step("MAIL FROM:", ok), step("RCPT TO:", no), quit)
	case "data":
		session = delivertest.Script(hello, in, delivertest.Accept()[:3], step(delivertest.Body, no), quit)
	case "gone":
		srv := delivertest.NewServer(t, delivertest.Options{})
		srv.Finish()
		return srv
	default:
		ts.Fatalf("relay: unknown %q", refuses)
	}
	return delivertest.NewServer(t, delivertest.Options{}, session)
}
