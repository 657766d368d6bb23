package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// told writes steps one a line, without how long they took.
func told(steps []wire.Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.Name + " " + s.Detail)
		if s.Err != "" {
			b.WriteString(" ! " + s.Err)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// wantSteps holds steps to patterns, one a step.
func wantSteps(t *testing.T, steps []wire.Step, patterns ...string) {
	t.Helper()
	got := told(steps)
	want := "^" + strings.Join(patterns, "\n") + "\n$"
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("steps are\n%s\nwant\n%s", got, want)
	}
	for _, s := range steps {
		if s.Took < 0 || s.Took > time.Minute {
			t.Errorf("step %q took %v", s.Name, s.Took)
		}
	}
}

// wantPrivate holds a report to keep what nobody may read.
func wantPrivate(t *testing.T, steps []wire.Step, private ...string) {
	t.Helper()
	for _, p := range private {
		if strings.Contains(told(steps), p) {
			t.Errorf("%q is in the steps\n%s", p, told(steps))
		}
	}
}

func wantHint(t *testing.T, err error, words string) {
	t.Helper()
	if got := Hint(err); !strings.Contains(got, words) || words == "" && got != "" {
		t.Errorf("hint is %q, want %q; error %v", got, words, err)
	}
}

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
	cfg.SMTP.TLS, cfg.SMTP.CAFile = TLSStartTLS, ca.File
	cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mailer@example.com", passwordFile(t, password)
	var receipt string
	steps, err := Test(WithReceipt(t.Context(), &receipt), newEmail(t, cfg), message("123456"))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps,
		`resolve localhost -> .*127\.0\.0\.1.*`, fmt.Sprintf(`connect 127\.0\.0\.1:%d`, srv.Port),
		`greeting relay\.test at your service`, `tls TLS 1\.3, certificate of localhost until 20\d\d-\d\d-\d\d`,
		`login plain as m\*\*\*r@example\.com`,
		`sender mfa@web1\.example\.com: 250 2\.1\.0 Sender a\*\*\*e@example\.com Ok`,
		`recipient a\*\*\*e@example\.com: 250 2\.1\.5 a\*\*\*e@example\.com Ok\?\[1m`,
		`data \d+ bytes: 354 go`, `accepted 2\.0\.0 Ok \[hidden\]: queued as 4XyZ-1`)
	wantPrivate(t, steps, "123456", password, "alice@example.com")
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
			cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mfa", passwordFile(t, "s3cret-word")
			steps, err := Test(t.Context(), newEmail(t, cfg), message("123456"))
			if err == nil {
				t.Fatal("sent")
			}
			got := strings.Split(strings.TrimSpace(told(steps)), "\n")
			want := strings.ReplaceAll(last, "PORT", fmt.Sprint(srv.Port))
			if got[len(got)-1] != want {
				t.Errorf("steps are %q, want the last to be %q", got, want)
			}
			wantHint(t, err, c.hint)
		})
	}
}

func TestStepsOfSMTPUnencrypted(t *testing.T) {
	for mode, want := range map[string]string{
		TLSNone:          `tls none: email.smtp.tls is "none"`,
		TLSOpportunistic: "tls none: the relay offers no STARTTLS",
	} {
		srv := delivertest.NewServer(t, delivertest.Options{}, delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()))
		cfg := smtpConfig(srv.Host, srv.Port)
		cfg.SMTP.TLS = mode
		steps, err := Test(t.Context(), newEmail(t, cfg), message("123456"))
		if err != nil {
			t.Error(err)
		}
		wantSteps(t, steps, "connect .*", "greeting .*", want, "login none: email.smtp.username is empty",
			"sender .*", "recipient .*", "data .*", "accepted queued as 4711")
	}
}

func TestStepsOfSMTPImplicitTLS(t *testing.T) {
	ca, stranger := delivertest.NewCA(t), delivertest.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1", "relay.example.com")
	srv := delivertest.NewServer(t, delivertest.Options{Certificate: &cert, Implicit: true},
		delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()), delivertest.Session{})
	cfg := smtpConfig(srv.Host, srv.Port)
	cfg.SMTP.TLS, cfg.SMTP.CAFile = TLSImplicit, ca.File
	steps, err := Test(t.Context(), newEmail(t, cfg), message("123456"))
	if err != nil {
		t.Error(err)
	}
	wantSteps(t, steps, "connect .*", `tls TLS 1\.3, certificate of relay\.example\.com, 127\.0\.0\.1 until .*`, "greeting .*", "login .*",
		"sender .*", "recipient .*", "data .*", "accepted .*")
	cfg.SMTP.CAFile = stranger.File
	steps, err = Test(t.Context(), newEmail(t, cfg), message("123456"))
	wantSteps(t, steps, "connect .*", `tls certificate of relay\.example\.com, 127\.0\.0\.1 until .* ! certificate of 127\.0\.0\.1 is not accepted: .*`)
	wantHint(t, err, "email.smtp.ca_file")
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
		steps, err := Test(t.Context(), e, message("1"))
		wantSteps(t, steps, c.want)
		wantHint(t, err, c.hint)
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
	steps, err := Test(t.Context(), e, message("2"))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "connect .*", "greeting .*", "tls .*", "login .*", "sender .*", "recipient .*", "data .*", "accepted .*")
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
	e := newEmail(t, eximConfig(t, exim, TLSStartTLS, AuthAuto, "mfa", "s3cret-word"))
	var receipt string
	steps, err := Test(WithReceipt(t.Context(), &receipt), e, message("246810"))
	if err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "connect .*", "greeting exim.test .*", "tls TLS 1.3, certificate of .*", `login cram-md5 as m\*\*\*a`,
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
	mail := newEmail(t, EmailConfig{Transport: TransportSendmail, Sendmail: SendmailConfig{Path: program}, From: "mfa@example.com"})
	box, path := newOutbox(t)
	text := newSMS(t, SMSConfig{Provider: ProviderCommand, Command: SMSCommandConfig{
		Path: program, Timeout: mfa.Duration(20 * time.Second),
	}}, SMSOptions{})
	for _, c := range []struct {
		s    Sender
		m    mfa.Message
		want []string
	}{
		{mail, message("123456"), []string{`run .*/sendmail -i -f mfa@example.com -- a\*\*\*e@example.com`, "accepted by the local mail system.*"}},
		{box, message("123456"), []string{"write " + regexp.QuoteMeta(path), `accepted \d+\..*`}},
		{text, sms("123456"), []string{"run .*/sendmail", "accepted "}},
	} {
		steps, err := Test(t.Context(), c.s, c.m)
		if err != nil {
			t.Error(err)
		}
		wantSteps(t, steps, c.want...)
	}

	if err := os.WriteFile(program+".no", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    Sender
		m    mfa.Message
		hint string
	}{
		{mail, message("123456"), "email.sendmail.path"},
		{text, sms("123456"), "sms.command.path"},
	} {
		steps, err := Test(t.Context(), c.s, c.m)
		wantSteps(t, steps, `run .* ! .*exit status 67: no \[hidden\]`)
		wantHint(t, err, c.hint)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	steps, err := Test(t.Context(), box, message("123456"))
	wantSteps(t, steps, "write .* ! .*not a directory")
	wantHint(t, err, "email.outbox.path")
}

func TestStepsOfTwilio(t *testing.T) {
	s, srv := twilioReplies(t, delivertest.TwilioReply{}, delivertest.TwilioReply{},
		delivertest.TwilioReply{Status: 400, Code: 21211, Message: "Invalid +14155552671 123456"},
		delivertest.TwilioReply{Then: delivertest.TwilioReset})
	var receipt string
	if err := s.Send(t.Context(), sms("123456")); err != nil {
		t.Fatal(err)
	}
	opened := []string{`connect 127\.0\.0\.1:\d+`, `tls none: the address begins with http://`, `login basic, as A\*\*\*0`, `request POST http://127\.0\.0\.1:\d+, \d+ bytes`}
	steps, err := Test(WithReceipt(t.Context(), &receipt), s, sms("123456"))
	if err != nil || receipt != srv.Texts()[1].SID {
		t.Errorf("%v, receipt %q", err, receipt)
	}
	wantSteps(t, steps, append(opened, "status 201 Created", "accepted "+receipt)...)

	steps, err = Test(t.Context(), s, sms("123456"))
	wantSteps(t, steps, append(opened, `status 400 Bad Request ! error 21211: Invalid \+1\*\*\*\*\*\*\*71 \[hidden\]`)...)
	wantPrivate(t, steps, "123456", "4155552671", srv.Password)
	wantHint(t, err, "/21211")

	steps, err = Test(t.Context(), s, sms("123456"))
	wantSteps(t, steps, append(opened, `status  ! .*reset.*`)...)
	wantHint(t, err, "may still arrive")
}

func TestStepsOfHTTPGateway(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	srv.StartTLS()
	defer srv.Close()
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	s := newSMS(t, SMSConfig{Provider: ProviderHTTP, HTTP: HTTPConfig{
		URL: fmt.Sprintf("https://localhost:%d/{{.To}}?text={{.Text}}", port), Method: "GET",
		Headers: map[string]string{"Authorization": "Bearer s3cret-token"}, Timeout: mfa.Duration(20 * time.Second),
	}}, SMSOptions{})

	steps, err := Test(t.Context(), s, sms("123456"))
	wantSteps(t, steps, `resolve localhost -> .*`, `connect 127.*`, `tls certificate of example\.com.* ! certificate of .* is not accepted.*`)
	wantHint(t, err, "update-ca-certificates")

	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	tlsConfig := s.way.(*httpGateway).http.Transport.(*http.Transport).TLSClientConfig
	tlsConfig.RootCAs, tlsConfig.ServerName = roots, "example.com"
	opened := []string{
		`resolve localhost -> .*`, `connect 127.*`, `tls TLS 1\.3, certificate of example\.com, .* until .*`,
		`login by the header Authorization`, `request GET https://localhost:\d+, 0 bytes`,
	}
	steps, err = Test(t.Context(), s, sms("123456"))
	if err != nil {
		t.Error(err)
	}
	wantSteps(t, steps, append(opened, "status 200 OK", "accepted ")...)
	for code, hint := range map[int]string{
		401: "credentials", 404: "sms.http.url", 302: "no redirect", 400: "sms.http.body", 503: "out of order", 429: "enough for now", 407: "HTTPS_PROXY",
	} {
		status = code
		steps, err = Test(t.Context(), s, sms("123456"))
		wantSteps(t, steps, append(opened, fmt.Sprintf("status %d .* ! .* answered %d: .*", code, code))...)
		wantHint(t, err, hint)
		wantPrivate(t, steps, "123456", "14155552671", "s3cret-token")
	}
}

func TestStepsOfGatewayOutOfReach(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	for url, c := range map[string]struct{ step, hint string }{
		srv.URL:                     {"connect 127.* ! .*refused", "firewall"},
		"http://gateway.invalid:80": {"resolve gateway.invalid ! .*", "resolv.conf"},
	} {
		s := newSMS(t, SMSConfig{Provider: ProviderHTTP, HTTP: HTTPConfig{
			URL: url + "/{{.To}}?text={{.Text}}", Timeout: mfa.Duration(20 * time.Second),
		}}, SMSOptions{})
		steps, err := Test(t.Context(), s, sms("123456"))
		wantSteps(t, steps, c.step)
		wantHint(t, err, c.hint)
		if errors.Is(err, ErrUncertain) {
			t.Errorf("nothing was sent, and yet: %v", err)
		}
	}
}

// A silent failure of a Sender that knows no steps is one, too.
func TestTestAlwaysTellsTheFailure(t *testing.T) {
	e, _ := scripted(t)
	m := message("1")
	m.To = "nobody"
	steps, err := Test(t.Context(), e, m)
	wantSteps(t, steps, "send  ! .*is not an email address")
	wantHint(t, err, "")
}

// Nobody asks: nothing is paid for.
func TestStepsCostNothingUnasked(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		rep := reporterOf(ctx)
		rep.begin()
		rep.done(stepConnect, "192.0.2.25:25", nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
