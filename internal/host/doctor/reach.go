package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/smtp"
	"mfa/internal/host/rights"
)

// reachTimeout bounds the look at one carrier.
const reachTimeout = 10 * time.Second

// mail tries the mail server without sending a message; see smtp.Email.Probe.
func (e *exam) mail(ctx context.Context) {
	if !e.known {
		return
	}
	where := "email (" + e.cfg.Email.Transport + ")"
	host := deliver.FullName()
	if problem := deliver.SenderProblem(e.cfg.Email, host); problem != "" {
		e.add(Finding{Warning, "mail-sender", where, problem, "Codes by email do not arrive outside.", `from = "mfa@example.com" under [email], with a domain of yours`})
	}
	cfg, mfad := e.cfg.Email, e.eyes()
	cfg.Outbox.Path, cfg.Sendmail.Path = mfad.see(cfg.Outbox.Path), mfad.see(cfg.Sendmail.Path)
	email, err := smtp.New(cfg, smtp.Options{Host: host})
	if err != nil {
		return // config said so
	}
	defer func() { _ = email.Close() }()
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := mfad.look(func() error { return email.Probe(ctx) }); err != nil {
		mend := "mend it"
		switch {
		case barred(err) && cfg.Transport == deliver.TransportOutbox:
			mend = mendOutbox(e.cfg)
		case barred(err) && cfg.Transport == deliver.TransportSendmail:
			mend = mendProgram(e.cfg.Email.Sendmail.Path)
		}
		e.add(Finding{
			Error, "mail", where, err.Error(), "Codes by email do not go out.",
			mend + ", then see a message arrive: mfactl send-test email ADDRESS",
		})
		return
	}
	e.ok("mail", where, "would take a message")
	if e.cfg.Email.Transport == deliver.TransportOutbox {
		e.add(Finding{
			Warning, "mail-outbox", where, "messages become files and go to nobody",
			"Only those who can read this machine's files get a code.", `transport = "smtp" under [email]`,
		})
	}
}

// smsPlace is where text messages are handed over.
type smsPlace struct {
	Provider string `toml:"provider"`
	Proxy    string `toml:"proxy"`
	Twilio   struct {
		BaseURL string `toml:"base_url"`
		Region  string `toml:"region"`
		Edge    string `toml:"edge"`
	} `toml:"twilio"`
	HTTP struct {
		URL string `toml:"url"`
	} `toml:"http"`
	Command struct {
		Path string `toml:"path"`
	} `toml:"command"`
}

// sms connects to the gateway of text messages without sending one.
func (e *exam) sms(ctx context.Context) {
	p := e.extra.SMS
	if p.Provider == "" {
		return
	}
	where := "text messages (" + p.Provider + ")"
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	by := e.smsProxy(p.gateway())
	program, mfad := p.Command.Path, e.eyes()
	p.Command.Path = mfad.see(program)
	reach := func(ctx context.Context) error { return mfad.look(func() error { return p.reach(ctx) }) }
	if by != "" {
		reach = func(ctx context.Context) error { return dial(ctx, by) }
	}
	if err := reach(ctx); err != nil {
		mend := "mend it"
		if barred(err) && p.Provider == deliver.ProviderCommand {
			mend = mendProgram(program)
		}
		e.add(Finding{
			Error, "sms", where, err.Error(), "Codes by text message do not go out.",
			mend + ", then see a message arrive: mfactl send-test sms NUMBER",
		})
		return
	}
	if by != "" {
		e.ok("sms", where, "the proxy "+by+" can be reached; mfactl send-test sms NUMBER shows whether it lets mfad through")
		return
	}
	e.ok("sms", where, "can be reached")
}

// gateway is the address of what takes text messages; empty: it has none.
func (p smsPlace) gateway() string {
	switch p.Provider {
	case deliver.ProviderHTTP:
		return p.HTTP.URL
	case deliver.ProviderTwilio:
		return p.twilio()
	}
	return ""
}

func (p smsPlace) reach(ctx context.Context) error {
	switch p.Provider {
	case deliver.ProviderCommand:
		return rights.MayRun(p.Command.Path)
	case deliver.ProviderHTTP, deliver.ProviderTwilio:
		return dial(ctx, p.gateway())
	}
	return fmt.Errorf("sms.provider %q is unknown", p.Provider)
}

// twilio returns the address of Twilio's API for the region and edge.
func (p smsPlace) twilio() string {
	host := "api."
	if p.Twilio.Edge != "" {
		host += p.Twilio.Edge + "."
	}
	if region := p.Twilio.Region; region != "" {
		host += region + "."
	} else if p.Twilio.Edge != "" {
		host += "us1."
	}
	if p.Twilio.BaseURL != "" {
		return p.Twilio.BaseURL
	}
	return "https://" + host + "twilio.com"
}

// dial connects to the host of a URL, and with https verifies its certificate.
func dial(ctx context.Context, address string) error {
	address, _, _ = strings.Cut(address, "{{") // a template begins
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("reach %q: it names no host", address)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	host := net.JoinHostPort(u.Hostname(), port)
	var c net.Conn
	if u.Scheme == "https" {
		c, err = (&tls.Dialer{}).DialContext(ctx, "tcp", host)
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", host)
	}
	if err != nil {
		return fmt.Errorf("reach %q: %w", host, err)
	}
	return c.Close()
}
