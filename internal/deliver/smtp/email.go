// Package smtp carries email: to a relay over SMTP (RFC 5321), to the sendmail of the
// local mail system, or into a maildir.
//
// What to know before trusting it: the certificate of a relay is verified, except with
// opportunistic TLS on loopback; a password leaves this machine encrypted or not at
// all; no error quotes a code or a password, whatever a relay answers.
package smtp

import (
	"context"
	"fmt"
	"log/slog"
	"net/mail"
	"path/filepath"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// An Email sends messages over the transport in [email]. It makes one attempt for a
// message; wrap it with deliver.Retry for more. It may be used from many goroutines.
type Email struct {
	from    mail.Address
	replyTo mail.Address // empty: answers go to from
	host    string       // of Message-IDs: the domain of from
	now     func() time.Time
	hop     hop
}

// Options is what New takes beside the table of mfa.toml.
type Options struct {
	Host string           // name of this machine, for HELO, Message-ID and a missing From
	Log  *slog.Logger     // nil: no log
	Now  func() time.Time // nil: time.Now
}

// A hop is the next program that takes a message. It may be used from many
// goroutines.
type hop interface {
	// send hands the letter over, in one attempt.
	send(ctx context.Context, l letter) error
	// close releases what the hop holds. It waits for running sends, and later ones fail.
	close() error
}

// New checks cfg, reads the files it names and returns the Email. An
// error begins with the key that is wrong. Nothing is connected or made before
// the first Send. Close it.
func New(cfg deliver.EmailConfig, opts Options) (*Email, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Host = deliver.Domain(opts.Host)
	from, err := sender(cfg.From, opts.Host)
	if err != nil {
		return nil, err
	}
	var replyTo mail.Address
	if cfg.ReplyTo != "" {
		if replyTo, err = parse("email.reply_to", cfg.ReplyTo, mfa.ParseReplyTo); err != nil {
			return nil, err
		}
	}
	h, err := newHop(cfg, opts)
	if err != nil {
		return nil, err
	}
	return &Email{from: from, replyTo: replyTo, host: deliver.Domain(mfa.DomainOf(from.Address)), now: opts.Now, hop: h}, nil
}

func newHop(cfg deliver.EmailConfig, opts Options) (hop, error) {
	switch cfg.Transport {
	case deliver.TransportSMTP:
		return newRelay(cfg.SMTP, opts.Host, opts.Log)
	case deliver.TransportSendmail:
		if !filepath.IsAbs(cfg.Sendmail.Path) {
			return nil, fmt.Errorf("email.sendmail.path: %q is not an absolute path", cfg.Sendmail.Path)
		}
		return sendmail{path: cfg.Sendmail.Path}, nil
	case deliver.TransportOutbox:
		if !filepath.IsAbs(cfg.Outbox.Path) {
			return nil, fmt.Errorf("email.outbox.path: %q is not an absolute path", cfg.Outbox.Path)
		}
		return outbox{path: cfg.Outbox.Path, host: opts.Host, now: opts.Now}, nil
	}
	return nil, fmt.Errorf("email.transport: %q is none of %q, %q, %q",
		cfg.Transport, deliver.TransportSMTP, deliver.TransportSendmail, deliver.TransportOutbox)
}

// sender returns the address messages come from: from, or mfa@host when empty.
func sender(from, host string) (mail.Address, error) {
	if from == "" {
		return mail.Address{Address: "mfa@" + host}, nil
	}
	return parse("email.from", from, mfa.ParseSender)
}

// parse returns the address that a key of mfa.toml has, by the reader for it.
func parse(key, address string, read func(string) (mail.Address, error)) (mail.Address, error) {
	a, err := read(address)
	if err != nil {
		return mail.Address{}, fmt.Errorf("%s: %q is not an address like \"Login <mfa@example.com>\": %w", key, address, err)
	}
	return a, nil
}

// Send implements deliver.Sender with one attempt.
func (e *Email) Send(ctx context.Context, m mfa.Message) error {
	if m.Carrier != mfa.Email {
		return deliver.Permanent(fmt.Errorf("send message %q: it is %q, not email", m.ID, m.Carrier))
	}
	carrier.StepsOf(ctx).Begin()
	l, err := e.compose(m)
	if err != nil {
		return deliver.Permanent(fmt.Errorf("send message %q: %w", m.ID, err))
	}
	return e.hop.send(ctx, l)
}

// Close waits for running Sends, which the timeout of one attempt bounds, and closes the
// connections. A later Send over SMTP fails with deliver.ErrClosed.
func (e *Email) Close() error { return e.hop.close() }
