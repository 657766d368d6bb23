package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

const testLifetime = 10 * time.Minute

var testTime = time.Date(2026, 3, 1, 14, 3, 5, 0, time.FixedZone("CET", 3600))

func smtpConfig(host string, port int) deliver.EmailConfig {
	return deliver.EmailConfig{
		Transport: deliver.TransportSMTP,
		From:      "Login codes <mfa@web1.example.com>",
		SMTP: deliver.SMTPConfig{
			Host: host, Port: port, TLS: deliver.TLSNone, Auth: deliver.AuthAuto,
			Timeout: mfa.Duration(20 * time.Second),
		},
	}
}

// scripted starts a server without TLS and returns an Email that speaks to it.
func scripted(t *testing.T, sessions ...delivertest.Session) (*Email, *delivertest.Server) {
	t.Helper()
	srv := delivertest.NewServer(t, delivertest.Options{}, sessions...)
	return newEmail(t, smtpConfig(srv.Host, srv.Port)), srv
}

// named makes e's relay answer to a name that is not loopback, at srv.
func named(e *Email, srv *delivertest.Server) {
	addr := net.JoinHostPort(srv.Host, strconv.Itoa(srv.Port))
	e.hop.(*relay).dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func say(want, reply string) []delivertest.Step {
	return []delivertest.Step{{Want: want, Reply: reply}}
}

func TestSMTPPlain(t *testing.T) {
	e, srv := scripted(t, delivertest.Script(
		delivertest.Greeting(),
		say("EHLO web1.example.com\r\n", delivertest.Reply(250, "relay.test\n8BITMIME\nSMTPUTF8")),
		say("MAIL FROM:<mfa@web1.example.com> BODY=8BITMIME\r\n", "250 ok"),
		say("RCPT TO:<alice@example.com>\r\n", "250 ok"),
		say("DATA\r\n", "354 go"), say(delivertest.Body, "250 ok"), delivertest.Quit()))
	e.now = func() time.Time { return testTime }
	m := message("123456")
	m.Subject = "Anmeldung für Zoë\nBcc: mallory@example.com"
	if err := e.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := delivertest.ParseMail(t, srv.Messages()[0])
	for name, want := range map[string]string{
		"From":           `"Login codes" <mfa@web1.example.com>`,
		"To":             "<alice@example.com>",
		"Date":           "Sun, 01 Mar 2026 14:03:05 +0100",
		"Message-Id":     "<m-123456@web1.example.com>",
		"Mime-Version":   "1.0",
		"Auto-Submitted": "auto-generated",
		"Bcc":            "",
		"User-Agent":     "",
		"X-Mailer":       "",
		"Reply-To":       "",
		"Precedence":     "",

		"Content-Language":         "en",
		"X-Auto-Response-Suppress": "DR, RN, NRN, OOF, AutoReply",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != "Anmeldung für Zoë Bcc: mallory@example.com" {
		t.Errorf("Subject: %q (%v)", subject, err)
	}
	if got.Text != m.Text || got.HTML != m.HTML {
		t.Errorf("came as %q and %q, want %q and %q", got.Text, got.HTML, m.Text, m.HTML)
	}
}

func TestSMTPTLS(t *testing.T) {
	ca := delivertest.NewCA(t)
	stranger := delivertest.NewCA(t)
	good := ca.Issue(t, "relay.example.com", "127.0.0.1")
	wrongName := ca.Issue(t, "other.example.com")
	expired := ca.IssueExpired(t, "relay.example.com")
	sent := delivertest.Script(delivertest.Hello("STARTTLS"), delivertest.Secure(),
		delivertest.Ehlo(), delivertest.Accept(), delivertest.Quit())
	implicit := delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit())
	refused := delivertest.Script(delivertest.Hello("STARTTLS"), delivertest.Secure(), delivertest.Gone())
	cases := []struct {
		name, host, mode, ca string
		cert                 tls.Certificate
		session              delivertest.Session
		want                 []string // in a permanent error; nil: sent
	}{
		{"starttls", "relay.example.com", deliver.TLSStartTLS, ca.File, good, sent, nil},
		{"implicit", "relay.example.com", deliver.TLSImplicit, ca.File, good, implicit, nil},
		{"opportunistic", "relay.example.com", deliver.TLSOpportunistic, ca.File, good, sent, nil},
		{"opportunistic on loopback takes any", "127.0.0.1", deliver.TLSOpportunistic, "", wrongName, sent, nil},
		{
			"opportunistic elsewhere does not", "relay.example.com", deliver.TLSOpportunistic, "", good, refused,
			[]string{"tls: certificate of relay.example.com is not accepted", "unknown authority", "email.smtp.ca_file"},
		},
		{
			"opportunistic on loopback with ca_file", "127.0.0.1", deliver.TLSOpportunistic, stranger.File, good, refused,
			[]string{"unknown authority"},
		},
		{
			"starttls on loopback verifies", "127.0.0.1", deliver.TLSStartTLS, "", good, refused,
			[]string{"certificate of 127.0.0.1 is not accepted"},
		},
		{
			"wrong name", "relay.example.com", deliver.TLSStartTLS, ca.File, wrongName, refused,
			[]string{"other.example.com", "email.smtp.host"},
		},
		{
			"expired", "relay.example.com", deliver.TLSStartTLS, ca.File, expired, refused,
			[]string{"expired", "needs a new certificate"},
		},
		{
			"implicit, unknown authority", "relay.example.com", deliver.TLSImplicit, stranger.File, good,
			delivertest.Script(delivertest.Greeting()),
			[]string{"tls: certificate", "unknown authority"},
		},
		{
			"starttls not offered", "relay.example.com", deliver.TLSStartTLS, ca.File, good,
			delivertest.Script(delivertest.Hello(), delivertest.Gone()),
			[]string{"offers no STARTTLS"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			srv := delivertest.NewServer(t, delivertest.Options{
				Certificate: &c.cert, Implicit: c.mode == deliver.TLSImplicit,
			}, c.session)
			cfg := smtpConfig(c.host, srv.Port)
			cfg.SMTP.TLS, cfg.SMTP.CAFile = c.mode, c.ca
			e := newEmail(t, cfg)
			named(e, srv)
			err := e.Send(t.Context(), message("123456"))
			if c.want == nil && err != nil {
				t.Fatal(err)
			}
			if c.want != nil {
				delivertest.WantPermanent(t, err, append(c.want, net.JoinHostPort(c.host, strconv.Itoa(srv.Port)))...)
			}
		})
	}
}

func TestSMTPImplicitTLSOnPlainPort(t *testing.T) {
	srv := delivertest.NewServer(t, delivertest.Options{}, delivertest.Script(
		[]delivertest.Step{{Reply: "220 relay.test ESMTP", Then: delivertest.Hangup}}))
	cfg := smtpConfig(srv.Host, srv.Port)
	cfg.SMTP.TLS = deliver.TLSImplicit
	delivertest.WantPermanent(t, newEmail(t, cfg).Send(t.Context(), message("1")), "does not speak TLS on this port", "email.smtp.tls")
}

func TestSMTPLogin(t *testing.T) {
	const user, password = "mfa", "s3cret-word"
	// base64 of \0mfa\0s3cret-word, of mfa, and of s3cret-word
	const plain, name, word = "AG1mYQBzM2NyZXQtd29yZA==", "bWZh", "czNjcmV0LXdvcmQ="
	byPlain := say("AUTH PLAIN "+plain+"\r\n", "235 in")
	byLogin := append(say("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6"),
		append(say(name+"\r\n", "334 UGFzc3dvcmQ6"), say(word+"\r\n", "235 in")...)...)
	// RFC 2195, with the digest of this password over the challenge "<1@relay.test>"
	byCRAM := append(say("AUTH CRAM-MD5\r\n", "334 PDFAcmVsYXkudGVzdD4="),
		say("bWZhI", "235 in")...)
	abort := append(say("*\r\n", "501 aborted"), delivertest.Quit()...)
	cases := []struct {
		name, host, auth, offer string
		login                   []delivertest.Step
		want                    []string // in a permanent error; nil: sent
	}{
		{"auto takes the strongest", "relay.example.com", deliver.AuthAuto, "AUTH LOGIN PLAIN CRAM-MD5", byCRAM, nil},
		{"auto on loopback", "127.0.0.1", deliver.AuthAuto, "AUTH LOGIN PLAIN", byPlain, nil},
		{"login on loopback", "127.0.0.1", deliver.AuthLogin, "AUTH LOGIN PLAIN CRAM-MD5", byLogin, nil},
		{"auto, only LOGIN", "127.0.0.1", deliver.AuthAuto, "AUTH LOGIN", byLogin, nil},
		{
			"never in clear, auto", "relay.example.com", deliver.AuthAuto, "AUTH LOGIN PLAIN", delivertest.Gone(),
			[]string{"login: refused to send the password unencrypted", "email.smtp.tls"},
		},
		{
			"never in clear, login", "relay.example.com", deliver.AuthLogin, "AUTH LOGIN PLAIN CRAM-MD5", delivertest.Gone(),
			[]string{"refused to send the password unencrypted"},
		},
		{
			"not offered", "127.0.0.1", deliver.AuthCRAMMD5, "AUTH LOGIN PLAIN", delivertest.Gone(),
			[]string{`email.smtp.auth = "cram-md5"`, "offers: LOGIN, PLAIN"},
		},
		{"nothing offered", "127.0.0.1", deliver.AuthAuto, "SIZE", delivertest.Gone(), []string{"no way to log in"}},
		{
			"refused, and the relay repeats it", "127.0.0.1", deliver.AuthPlain, "AUTH PLAIN",
			append(say("AUTH PLAIN ", "535 5.7.8 not you: AUTH PLAIN "+plain+" ("+password+")"), abort...),
			[]string{": login: 535 5.7.8 not you: AUTH PLAIN [hidden] ([hidden])"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			session := delivertest.Script(delivertest.Hello(c.offer), c.login)
			if c.want == nil {
				session = append(session, delivertest.Script(delivertest.Accept(), delivertest.Quit())...)
			}
			srv := delivertest.NewServer(t, delivertest.Options{}, session)
			cfg := smtpConfig(c.host, srv.Port)
			cfg.SMTP.TLS = deliver.TLSOpportunistic
			cfg.SMTP.Auth, cfg.SMTP.Username, cfg.SMTP.PasswordFile = c.auth, user, delivertest.PasswordFile(t, password)
			e := newEmail(t, cfg)
			named(e, srv)
			err := e.Send(t.Context(), message("1"))
			if c.want == nil && err != nil {
				t.Fatal(err)
			}
			if c.want != nil {
				delivertest.WantPermanent(t, err, c.want...)
			}
		})
	}
}

func TestSMTPLoginBusy(t *testing.T) {
	srv := delivertest.NewServer(t, delivertest.Options{}, delivertest.Script(
		delivertest.Hello("AUTH PLAIN"), say("AUTH PLAIN ", "454 4.7.0 directory is down"),
		say("*\r\n", "501 aborted"), delivertest.Quit()))
	cfg := smtpConfig(srv.Host, srv.Port)
	cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mfa", delivertest.PasswordFile(t, "s3cret-word")
	delivertest.WantTemporary(t, newEmail(t, cfg).Send(t.Context(), message("1")), ": login: 454 4.7.0 directory is down")
}

// TestSMTPRefusals goes through every step at which a relay can say no.
func TestSMTPRefusals(t *testing.T) {
	hello := delivertest.Hello()
	from, to := say("MAIL FROM:", "250 ok"), say("RCPT TO:", "250 ok")
	data := say("DATA", "354 go")
	for _, code := range []int{451, 554} {
		no := delivertest.Reply(code, "not now,\nnot \x1b[31mhere")
		cases := []struct {
			step    string
			session delivertest.Session
		}{
			{"greeting", delivertest.Script(say("", no), delivertest.Gone())},
			{"greeting", delivertest.Script(delivertest.Greeting(), say("EHLO ", no), say("HELO ", no), delivertest.Gone())},
			{"sender", delivertest.Script(hello, say("MAIL FROM:", no), delivertest.Quit())},
			{"recipient a***e@example.com", delivertest.Script(hello, from, say("RCPT TO:", no), delivertest.Quit())},
			{"data", delivertest.Script(hello, from, to, say("DATA", no), delivertest.Quit())},
			{"data", delivertest.Script(hello, from, to, data, say(delivertest.Body, no), delivertest.Quit())},
		}
		for i, c := range cases {
			t.Run(fmt.Sprintf("%d %d %s", code, i, c.step), func(t *testing.T) {
				e, srv := scripted(t, c.session)
				err := e.Send(t.Context(), message("123456"))
				want := fmt.Sprintf("smtp relay 127.0.0.1:%d: %s: %d not now, not ?[31mhere", srv.Port, c.step, code)
				if code < 500 {
					delivertest.WantTemporary(t, err, want)
				} else {
					delivertest.WantPermanent(t, err, want)
				}
			})
		}
	}
}

func TestSMTPAnswerQuotesTheMessage(t *testing.T) {
	e, _ := scripted(t, delivertest.Script(delivertest.Hello(),
		delivertest.Accept()[:3], say(delivertest.Body, "550 spam: Your code: 123456 for <alice@example.com>"),
		delivertest.Quit()))
	delivertest.WantPermanent(t, e.Send(t.Context(), message("123456")), "550 spam: Your code: [hidden] for <a***e@example.com>")
}

func TestSMTPTemporaryThenSent(t *testing.T) {
	again := delivertest.Script(delivertest.Hello(),
		say("MAIL FROM:", "250 ok"), say("RCPT TO:", "451 4.7.1 greylisted"),
		delivertest.Reset(), delivertest.Accept(), delivertest.Quit())
	e, srv := scripted(t, again)
	if err := deliver.Retry(e, time.Millisecond, time.Millisecond).Send(t.Context(), message("123456")); err != nil {
		t.Fatal(err)
	}
	if n := len(srv.Messages()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

func TestSMTPStall(t *testing.T) {
	stall := func(parts ...[]delivertest.Step) delivertest.Session {
		s := delivertest.Script(parts...)
		s[len(s)-1].Reply, s[len(s)-1].Then = "", delivertest.Stall
		return s
	}
	for name, session := range map[string]delivertest.Session{
		"greeting":  stall(delivertest.Greeting()),
		"login":     stall(delivertest.Hello("AUTH PLAIN"), say("AUTH PLAIN", "")),
		"sender":    stall(delivertest.Hello("AUTH PLAIN"), say("AUTH PLAIN", "235 in"), delivertest.Accept()[:1]),
		"recipient": stall(delivertest.Hello("AUTH PLAIN"), say("AUTH PLAIN", "235 in"), delivertest.Accept()[:2]),
		"data":      stall(delivertest.Hello("AUTH PLAIN"), say("AUTH PLAIN", "235 in"), delivertest.Accept()),
	} {
		t.Run(name, func(t *testing.T) {
			srv := delivertest.NewServer(t, delivertest.Options{}, session)
			cfg := smtpConfig(srv.Host, srv.Port)
			cfg.SMTP.Timeout = mfa.Duration(100 * time.Millisecond)
			cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mfa", delivertest.PasswordFile(t, "s3cret-word")
			delivertest.WantTemporary(t, newEmail(t, cfg).Send(t.Context(), message("123456")), ": "+name, "no answer within 100ms")
		})
	}
	t.Run("the caller leaves", func(t *testing.T) {
		e, _ := scripted(t, stall(delivertest.Greeting()))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(fmt.Errorf("the client has gone")) })
		err := e.Send(ctx, message("123456"))
		if err == nil || !strings.Contains(err.Error(), "the client has gone") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestSMTPNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	err = newEmail(t, smtpConfig("127.0.0.1", port)).Send(t.Context(), message("1"))
	delivertest.WantTemporary(t, err, fmt.Sprintf("smtp relay 127.0.0.1:%d: connect: ", port), "connection refused")
}

func TestSMTPNames(t *testing.T) {
	for _, c := range []struct {
		err  error
		step string
		want func(*testing.T, error, ...string)
	}{
		{&net.DNSError{Err: "no such host", Name: "relay.example.com", IsNotFound: true}, "resolve", delivertest.WantPermanent},
		{&net.DNSError{Err: "server misbehaving", Name: "relay.example.com", IsTemporary: true}, "resolve", delivertest.WantTemporary},
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNRESET}, "connect", delivertest.WantTemporary},
	} {
		e := newEmail(t, smtpConfig("relay.example.com", 25))
		e.hop.(*relay).dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.err }
		c.want(t, e.Send(t.Context(), message("1")), "smtp relay relay.example.com:25: "+c.step+": ", c.err.Error())
	}
}

func TestSMTPReusesConnections(t *testing.T) {
	const messages = 20
	parts := [][]delivertest.Step{delivertest.Hello(), delivertest.Accept()}
	for range messages - 1 {
		parts = append(parts, delivertest.Reset(), delivertest.Accept())
	}
	e, srv := scripted(t, delivertest.Script(append(parts, delivertest.Quit())...))
	for i := range messages {
		if err := e.Send(t.Context(), message(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := srv.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if n := len(srv.Messages()); n != messages {
		t.Errorf("%d messages, want %d", n, messages)
	}
}

// TestSMTPBoundsConnections holds four transactions open, while a fifth waits.
func TestSMTPBoundsConnections(t *testing.T) {
	gate := newGate(t)
	cfg := smtpConfig("127.0.0.1", gate.port)
	e := newEmail(t, cfg)
	var senders sync.WaitGroup
	for i := range 3 * maxConns {
		senders.Go(func() {
			if err := e.Send(t.Context(), message(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
		})
	}
	for range maxConns {
		<-gate.arrived
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Send(ctx, message("late")); err == nil || !strings.Contains(err.Error(), "wait for a connection") {
		t.Errorf("error of a sender that may not wait: %v", err)
	}
	close(gate.open)
	senders.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if n := gate.connections(); n != maxConns {
		t.Errorf("%d connections, want %d", n, maxConns)
	}
}

func TestSMTPStaleConnection(t *testing.T) {
	for name, goes := range map[string][]delivertest.Step{
		"without a word":  {{Then: delivertest.Hangup}},
		"421 to RSET":     {{Want: "RSET", Reply: "421 4.4.2 idle for too long", Then: delivertest.Hangup}},
		"421 to MAIL":     append(delivertest.Reset(), delivertest.Step{Want: "MAIL", Reply: "421 enough for today", Then: delivertest.Hangup}),
		"silent after OK": append(delivertest.Reset(), delivertest.Step{Want: "MAIL", Then: delivertest.Hangup}),
	} {
		t.Run(name, func(t *testing.T) {
			e, srv := scripted(t,
				delivertest.Script(delivertest.Hello(), delivertest.Accept(), goes),
				delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()))
			for _, code := range []string{"111111", "222222"} {
				if err := e.Send(t.Context(), message(code)); err != nil {
					t.Fatal(err)
				}
			}
			if n := srv.Accepted(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}

func TestSMTPIdleConnectionEnds(t *testing.T) {
	e, srv := scripted(t, delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit()))
	e.hop.(*relay).pool.idleFor = time.Millisecond
	if err := e.Send(t.Context(), message("1")); err != nil {
		t.Fatal(err)
	}
	srv.Finish() // returns once the client has said QUIT, without Close
}

func TestSMTPClose(t *testing.T) {
	e, _ := scripted(t)
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	delivertest.WantPermanent(t, e.Send(t.Context(), message("1")), "the carrier is shut down")
}

func TestSendRefusesAddresses(t *testing.T) {
	e, _ := scripted(t)
	for _, to := range []string{"", "alice", "a@b@c", "alice@example.com\r\nBcc: m@example.com", "A <a@example.com>", "a@x, b@x", "<a@example.com>", " a@example.com", `"a b"@example.com`, "g:a@example.com;"} {
		m := message("1")
		m.To = to
		delivertest.WantPermanent(t, e.Send(t.Context(), m), "is not an email address")
	}
	m := message("1")
	m.Carrier = mfa.SMS
	delivertest.WantPermanent(t, e.Send(t.Context(), m), `"sms", not email`)
}

func TestComposeSurvivesOddNames(t *testing.T) {
	e := newEmail(t, deliver.EmailConfig{
		Transport: deliver.TransportOutbox, From: `"Büro, EDV" <mfa@example.com>`,
		Outbox: deliver.OutboxConfig{Path: filepath.Join(t.TempDir(), "box")},
	})
	m := message("1")
	m.ID = "a b\r\nX: y"
	l, err := e.compose(m)
	if err != nil {
		t.Fatal(err)
	}
	got := delivertest.ParseMail(t, string(l.data))
	from, err := mail.ParseAddress(got.Header.Get("From"))
	if err != nil || from.Name != "Büro, EDV" {
		t.Errorf("From: %q (%v)", got.Header.Get("From"), err)
	}
	if id := got.Header.Get("Message-Id"); !strings.HasSuffix(id, "@example.com>") || strings.Contains(id, "X:") {
		t.Errorf("Message-Id: %q", id)
	}
}
