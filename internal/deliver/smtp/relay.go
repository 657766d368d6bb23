package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"

	"github.com/wneessen/go-mail/smtp"
)

// A relay hands letters to one SMTP server (RFC 5321) over a few connections
// that it keeps for the next letter.
type relay struct {
	cfg      deliver.SMTPConfig
	addr     string // host:port
	helo     string
	password string
	timeout  time.Duration
	tls      *tls.Config
	log      *slog.Logger
	pool     *pool
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
}

func newRelay(cfg deliver.SMTPConfig, host string, log *slog.Logger) (*relay, error) {
	if err := checkSMTP(cfg); err != nil {
		return nil, err
	}
	password, err := readPassword(cfg, log)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := clientTLS(cfg)
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	return &relay{
		cfg: cfg, addr: addr, helo: host, password: password,
		timeout: time.Duration(cfg.Timeout), tls: tlsConfig, log: log.With("relay", addr),
		pool: newPool(), dial: new(net.Dialer).DialContext,
	}, nil
}

func checkSMTP(cfg deliver.SMTPConfig) error {
	switch {
	case cfg.Host == "":
		return errors.New("email.smtp.host: is empty")
	case cfg.Port < 1 || cfg.Port > 65535:
		return fmt.Errorf("email.smtp.port: %d is not within 1 and 65535", cfg.Port)
	case cfg.Timeout <= 0:
		return fmt.Errorf("email.smtp.timeout: %q is not more than 0s", cfg.Timeout)
	}
	switch cfg.TLS {
	case deliver.TLSNone, deliver.TLSOpportunistic, deliver.TLSStartTLS, deliver.TLSImplicit:
	default:
		return fmt.Errorf("email.smtp.tls: %q is none of %q, %q, %q, %q",
			cfg.TLS, deliver.TLSNone, deliver.TLSOpportunistic, deliver.TLSStartTLS, deliver.TLSImplicit)
	}
	return checkLogin(cfg)
}

// clientTLS returns the TLS configuration for the relay. On loopback nobody can stand in
// between, and mail systems have self-signed certificates, so opportunistic TLS accepts
// any certificate there, unless ca_file is set.
func clientTLS(cfg deliver.SMTPConfig) (*tls.Config, error) {
	c := &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}
	if cfg.CAFile == "" {
		c.InsecureSkipVerify = cfg.TLS == deliver.TLSOpportunistic && deliver.IsLoopback(cfg.Host)
		return c, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("email.smtp.ca_file: read %w", carrier.PathFirst(err))
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("email.smtp.ca_file: %q holds no certificate in PEM form", cfg.CAFile)
	}
	return c, nil
}

// send makes one attempt. A kept connection that the relay has meanwhile given
// up is replaced within the same attempt.
func (r *relay) send(ctx context.Context, l letter) error {
	if err := r.pool.enter(ctx); err != nil {
		return r.fail("wait for a connection", err)
	}
	defer r.pool.leave()
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("no answer within %v", r.timeout))
	defer cancel()
	if carrier.StepsOf(ctx) != nil {
		r.pool.retire() // in favour of one that shows every step
		return r.sendFresh(ctx, l)
	}
	for c := r.pool.take(); c != nil; c = r.pool.take() {
		if err := r.handOver(ctx, c, l); !errors.Is(err, errStale) {
			return err
		}
		r.log.Debug("kept smtp connection was gone")
	}
	return r.sendFresh(ctx, l)
}

// sendFresh makes an attempt over a new connection.
func (r *relay) sendFresh(ctx context.Context, l letter) error {
	c, err := r.connect(ctx)
	if err != nil {
		return err
	}
	return r.handOver(ctx, c, l)
}

func (r *relay) close() error { return r.pool.close() }

// errStale: the connection ended while it was idle, and the letter was not sent.
var errStale = errors.New("kept connection is gone")

// handOver sends l over c, then keeps c or closes it.
func (r *relay) handOver(ctx context.Context, c *conn, l letter) error {
	release := interrupt(ctx, c.nc)
	t := r.transcribe(ctx, c, l)
	said, step, err := c.transact(l, t)
	t.stop()
	intact := release()
	if intact && !lost(err) {
		r.pool.put(c)
	} else {
		_ = c.nc.Close()
	}
	switch {
	case err == nil:
		r.tellAccepted(ctx, said, l)
		return nil
	case c.reused && intact && lost(err) && (step == stepReset || step == stepSender):
		return errStale
	}
	return r.explain(ctx, step, err, l)
}

// The steps of a session, as errors name them.
const (
	stepGreeting  = "greeting"
	stepReset     = "reset"
	stepSender    = "sender"
	stepRecipient = "recipient"
	stepData      = "data"
)

// transact runs one mail transaction (RFC 5321, 3.3) and returns what the relay
// said when it took the letter. With an error it returns the step that failed.
func (c *conn) transact(l letter, t *transcript) (said, step string, err error) {
	if c.reused {
		if err := c.client.Reset(); err != nil {
			return "", stepReset, err
		}
	}
	// SMTPUTF8 binds every later relay; ask for it only when an address needs it.
	c.client.SkipSMTPUTF8(isASCII(l.from.Address) && isASCII(l.to.Address))
	if err := c.client.Mail(l.from.String()); err != nil {
		return "", stepSender, err
	}
	t.done(stepSender)
	if err := c.client.Rcpt(l.to.String()); err != nil {
		return "", stepRecipient, err
	}
	t.done(stepRecipient)
	w, err := c.client.Data()
	if err != nil {
		return "", stepData, err
	}
	t.done(stepData)
	if _, err := w.Write(l.data); err != nil {
		return "", stepData, err
	}
	err = w.Close()
	if answered, ok := w.(interface{ ServerResponse() string }); ok {
		said = answered.ServerResponse()
	}
	return said, stepData, err
}

// lost reports whether err means that the session is over: no reply, or 421.
func lost(err error) bool {
	reply, ok := errors.AsType[*textproto.Error](err)
	return err != nil && (!ok || reply.Code == 421)
}

// connect opens a session that is ready for a letter.
func (r *relay) connect(ctx context.Context) (*conn, error) {
	rep := carrier.StepsOf(ctx)
	nc, err := r.dial(rep.Dialling(ctx, r.cfg.Host), "tcp", r.addr)
	if err != nil {
		return nil, r.explain(ctx, dialStep(err), err, letter{})
	}
	release := interrupt(ctx, nc)
	c, step, err := r.open(nc, rep)
	if !release() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = nc.Close()
		return nil, r.explain(ctx, step, err, letter{})
	}
	return c, nil
}

// open takes the session through greeting, TLS and login.
func (r *relay) open(nc net.Conn, rep *carrier.Steps) (c *conn, step string, err error) {
	if r.cfg.TLS == deliver.TLSImplicit {
		secured := tls.Client(nc, r.tls)
		if err := secured.Handshake(); err != nil {
			return nil, carrier.StepTLS, err
		}
		nc = secured
		r.tellTLS(rep, secured.ConnectionState(), true)
	}
	client, err := smtp.NewClient(nc, r.cfg.Host)
	if err != nil {
		return nil, stepGreeting, err
	}
	if err := client.Hello(r.helo); err != nil {
		return nil, stepGreeting, err
	}
	rep.Done(stepGreeting, r.words(client.HelloResponse(), letter{}), nil)
	if err := r.startTLS(client); err != nil {
		return nil, carrier.StepTLS, err
	}
	state, encrypted := client.TLSConnectionState()
	if r.cfg.TLS != deliver.TLSImplicit {
		r.tellTLS(rep, state, encrypted)
	}
	mechanism, err := r.login(client)
	if err != nil {
		return nil, carrier.StepLogin, err
	}
	r.tellLogin(rep, mechanism)
	version := "none"
	if encrypted {
		version = tls.VersionName(state.Version)
	}
	r.log.Debug("smtp connection opened", "tls", version, "auth", mechanism)
	return &conn{nc: nc, client: client}, carrier.StepLogin, nil
}

// startTLS encrypts the session if the configuration says so (RFC 3207).
func (r *relay) startTLS(client *smtp.Client) error {
	if r.cfg.TLS != deliver.TLSStartTLS && r.cfg.TLS != deliver.TLSOpportunistic {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); offered {
		return client.StartTLS(r.tls)
	}
	if r.cfg.TLS == deliver.TLSStartTLS {
		return deliver.Permanent(fmt.Errorf("the relay offers no STARTTLS and email.smtp.tls = %q demands it", deliver.TLSStartTLS))
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 0x7f {
			return false
		}
	}
	return true
}
