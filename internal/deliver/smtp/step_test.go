package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

func TestStepsOfSMTP(t *testing.T) {
	ca := delivertest.NewCA(t)
	cert := ca.Issue(t, "localhost")
	const password = "s3cret-word"
	srv := delivertest.NewServer(t, delivertest.Options{Certificate: &cert}, delivertest.Script(
		delivertest.Hello("STARTTLS"), delivertest.Secure(), delivertest.Ehlo("AUTH PLAIN"),
		say("AUTH PLAIN ", "235 in with "+password),
		say("MAIL FROM:<", "250 2.1.0 Sender alice@example.com Ok"), say("RCPT TO:<", "250 2.1.5 alice@example.com Ok\x1b[1m"),
		say("DATA", "354 go"), say(delivertest.Body, "250 2.0.0 Ok 123456: queued as 4XyZ-1"), delivertest.Quit()))
	cfg := smtpConfig("localhost", srv.Port)
	cfg.SMTP.TLS, cfg.SMTP.CAFile = deliver.TLSStartTLS, ca.File
	cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mailer@example.com", delivertest.PasswordFile(t, password)
	var receipt string
	steps, err := carrier.Test(deliver.WithReceipt(t.Context(), &receipt), newEmail(t, cfg), message("123456"))
	if err != nil {
		t.Fatal(err)
	}
	delivertest.WantSteps(t, steps,
		`resolve localhost -> .*127\.0\.0\.1.*`, fmt.Sprintf(`connect 127\.0\.0\.1:%d`, srv.Port),
		`greeting relay\.test at your service`, `tls TLS 1\.3, certificate of localhost until 20\d\d-\d\d-\d\d`,
		`login plain as m\*\*\*r@example\.com`,
		`sender mfa@web1\.example\.com: 250 2\.1\.0 Sender a\*\*\*e@example\.com Ok`,
		`recipient a\*\*\*e@example\.com: 250 2\.1\.5 a\*\*\*e@example\.com Ok\?\[1m`,
		`data \d+ bytes: 354 go`, `accepted 2\.0\.0 Ok \[hidden\]: queued as 4XyZ-1`)
	delivertest.WantPrivate(t, steps, "123456", password, "alice@example.com")
	if receipt != "4XyZ-1" {
		t.Errorf("receipt is %q", receipt)
	}
}

// Every place where a relay can say no is the last step, with a hint.
func TestStepsOfSMTPRefusals(t *testing.T) {
	ok, no := "250 ok", "550 5.7.1 not you"
	hello := delivertest.Hello("AUTH PLAIN")
	in := say("AUTH PLAIN ", "235 in")
	for last, c := range map[string]struct {
		session delivertest.Session
		hint    string
	}{
		"greeting 127.0.0.1:PORT ! 550 5.7.1 not you": {delivertest.Script(say("", no), delivertest.Gone()), `email.smtp.tls = "implicit"`},
		"login m***a ! 550 5.7.1 not you": {
			delivertest.Script(hello, say("AUTH PLAIN ", no), say("*", "501 aborted"), delivertest.Quit()), "email.smtp.password_file",
		},
		"sender mfa@web1.example.com ! 550 5.7.1 not you": {
			delivertest.Script(hello, in, say("MAIL FROM:", no), delivertest.Quit()), "email.from",
		},
		"recipient a***e@example.com ! 550 5.7.1 not you": {
			delivertest.Script(hello, in, say("MAIL FROM:", ok), say("RCPT TO:", no), delivertest.Quit()), "Is the address right",
		},
		"data  ! 550 5.7.1 not you": {
			delivertest.Script(hello, in, delivertest.Accept()[:3], say(delivertest.Body, no), delivertest.Quit()), "refuses the message",
		},
	} {
		t.Run(last, func(t *testing.T) {
			srv := delivertest.NewServer(t, delivertest.Options{}, c.session)
			cfg := smtpConfig(srv.Host, srv.Port)
			cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mfa", delivertest.PasswordFile(t, "s3cret-word")
			steps, err := carrier.Test(t.Context(), newEmail(t, cfg), message("123456"))
			if err == nil {
				t.Fatal("sent")
			}
			got := strings.Split(strings.TrimSpace(delivertest.Told(steps)), "\n")
			want := strings.ReplaceAll(last, "PORT", fmt.Sprint(srv.Port))
			if got[len(got)-1] != want {
				t.Errorf("steps are %q, want the last to be %q", got, want)
			}
			delivertest.WantHint(t, err, c.hint)
		})
	}
}

func TestStepsOfSMTPUnencrypted(t *testing.T) {
	for mode, want := range map[string]string{
		deliver.TLSNone:          `tls none: email.smtp.tls is "none"`,
		deliver.TLSOpportunistic: "tls none: the relay offers no STARTTLS",
	} {
		srv := delivertest.NewServer(t, delivertest.Options{}, delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()))
		cfg := smtpConfig(srv.Host, srv.Port)
		cfg.SMTP.TLS = mode
		steps, err := carrier.Test(t.Context(), newEmail(t, cfg), message("123456"))
		if err != nil {
			t.Error(err)
		}
		delivertest.WantSteps(t, steps, "connect .*", "greeting .*", want, "login none: email.smtp.username is empty",
			"sender .*", "recipient .*", "data .*", "accepted queued as 4711")
	}
}

func TestStepsOfSMTPImplicitTLS(t *testing.T) {
	ca, stranger := delivertest.NewCA(t), delivertest.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1", "relay.example.com")
	srv := delivertest.NewServer(t, delivertest.Options{Certificate: &cert, Implicit: true},
		delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()), delivertest.Session{})
	cfg := smtpConfig(srv.Host, srv.Port)
	cfg.SMTP.TLS, cfg.SMTP.CAFile = deliver.TLSImplicit, ca.File
	steps, err := carrier.Test(t.Context(), newEmail(t, cfg), message("123456"))
	if err != nil {
		t.Error(err)
	}
	delivertest.WantSteps(t, steps, "connect .*", `tls TLS 1\.3, certificate of relay\.example\.com, 127\.0\.0\.1 until .*`, "greeting .*", "login .*",
		"sender .*", "recipient .*", "data .*", "accepted .*")
	cfg.SMTP.CAFile = stranger.File
	steps, err = carrier.Test(t.Context(), newEmail(t, cfg), message("123456"))
	delivertest.WantSteps(t, steps, "connect .*", `tls certificate of relay\.example\.com, 127\.0\.0\.1 until .* ! certificate of 127\.0\.0\.1 is not accepted: .*`)
	delivertest.WantHint(t, err, "email.smtp.ca_file")
}

func TestStepsOfSMTPDialling(t *testing.T) {
	for _, c := range []struct {
		err        error
		want, hint string
	}{
		{&net.DNSError{Err: "no such host", Name: "relay.example.com", IsNotFound: true}, `resolve relay\.example\.com ! .*no such host.*`, "email.smtp.host"},
		{errors.New("connection refused"), `connect relay\.example\.com:25 ! connection refused`, "firewall"},
	} {
		e := newEmail(t, smtpConfig("relay.example.com", 25))
		e.hop.(*relay).dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.err }
		steps, err := carrier.Test(t.Context(), e, message("1"))
		delivertest.WantSteps(t, steps, c.want)
		delivertest.WantHint(t, err, c.hint)
	}
}

// A report shows every step, although a connection is kept; and never are there
// more than the relay shall have.
func TestStepsTakeNoKeptConnection(t *testing.T) {
	e, srv := scripted(t,
		delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()),
		delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Reset(), delivertest.Accept(), delivertest.Quit()))
	if err := e.Send(t.Context(), message("1")); err != nil {
		t.Fatal(err)
	}
	steps, err := carrier.Test(t.Context(), e, message("2"))
	if err != nil {
		t.Fatal(err)
	}
	delivertest.WantSteps(t, steps, "connect .*", "greeting .*", "tls .*", "login .*", "sender .*", "recipient .*", "data .*", "accepted .*")
	pool := e.hop.(*relay).pool
	pool.mu.Lock()
	if n := len(pool.idle); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
	pool.mu.Unlock()
	before := len(steps)
	if err := e.Send(t.Context(), message("3")); err != nil || len(steps) != before {
		t.Errorf("%v, %d steps more of a message that nobody asks about", err, len(steps)-before)
	}
	if n := srv.Accepted(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestStepsOfExim(t *testing.T) {
	exim := delivertest.StartExim(t, delivertest.EximOptions{Username: "mfa", Password: "s3cret-word"})
	e := newEmail(t, eximConfig(t, exim, deliver.TLSStartTLS, deliver.AuthAuto, "mfa", "s3cret-word"))
	var receipt string
	steps, err := carrier.Test(deliver.WithReceipt(t.Context(), &receipt), e, message("246810"))
	if err != nil {
		t.Fatal(err)
	}
	delivertest.WantSteps(t, steps, "connect .*", "greeting exim.test .*", "tls TLS 1.3, certificate of .*", `login cram-md5 as m\*\*\*a`,
		"sender mfa@web1.example.com: 250 OK", `recipient a\*\*\*e@example.com: 250 Accepted`, "data .*", "accepted OK id=.*")
	entries, rerr := os.ReadFile(exim.Log)
	if rerr != nil || receipt == "" || !strings.Contains(string(entries), receipt+" <= ") {
		t.Errorf("receipt %q is not in exim's log (%v):\n%s", receipt, rerr, entries)
	}
}

func TestStepsOfLocalCarriers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sendmail")
	script := "#!/bin/sh\ncat >/dev/null; test ! -e " + program + ".no || { echo no 123456 >&2; exit 67; }\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	mail := newEmail(t, deliver.EmailConfig{Transport: deliver.TransportSendmail, Sendmail: deliver.SendmailConfig{Path: program}, From: "mfa@example.com"})
	box, path := newOutbox(t)
	for _, c := range []struct {
		s    deliver.Sender
		m    mfa.Message
		want []string
	}{
		{mail, message("123456"), []string{`run .*/sendmail -i -f mfa@example.com -- a\*\*\*e@example.com`, "accepted by the local mail system.*"}},
		{box, message("123456"), []string{"write " + regexp.QuoteMeta(path), `accepted \d+\..*`}},
	} {
		steps, err := carrier.Test(t.Context(), c.s, c.m)
		if err != nil {
			t.Error(err)
		}
		delivertest.WantSteps(t, steps, c.want...)
	}

	if err := os.WriteFile(program+".no", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    deliver.Sender
		m    mfa.Message
		hint string
	}{
		{mail, message("123456"), "email.sendmail.path"},
	} {
		steps, err := carrier.Test(t.Context(), c.s, c.m)
		delivertest.WantSteps(t, steps, `run .* ! .*exit status 67: no \[hidden\]`)
		delivertest.WantHint(t, err, c.hint)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	steps, err := carrier.Test(t.Context(), box, message("123456"))
	delivertest.WantSteps(t, steps, "write .* ! .*not a directory")
	delivertest.WantHint(t, err, "email.outbox.path")
}

// A silent failure of a Sender that knows no steps is one, too.
func TestTestAlwaysTellsTheFailure(t *testing.T) {
	e, _ := scripted(t)
	m := message("1")
	m.To = "nobody"
	steps, err := carrier.Test(t.Context(), e, m)
	delivertest.WantSteps(t, steps, "send  ! .*is not an email address")
	delivertest.WantHint(t, err, "")
}
