package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
)

// fail returns err with the relay, the step and a hint.
func (r *relay) fail(step string, err error) error {
	where, _, _ := strings.Cut(step, " ")
	return deliver.Hinted(fmt.Errorf("smtp relay %s: %s: %w", r.addr, step, err), r.hint(where, err))
}

// explain turns the error of a step into one for the log: with the relay, the step and its
// answer, and permanent if another attempt cannot help.
func (r *relay) explain(ctx context.Context, step string, err error, l letter) error {
	cause := r.cause(ctx, err, l)
	r.tellFailure(ctx, step, err, cause, l)
	if step == stepRecipient {
		step += " " + deliver.Mask(l.to.Address)
	}
	return r.fail(step, cause)
}

// words quotes an answer of the relay about l for an error or a report.
func (r *relay) words(said string, l letter) string {
	return l.quote(said, r.privateLogin()...)
}

func (r *relay) cause(ctx context.Context, err error, l letter) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		// The reply itself is not wrapped: it may quote what is private.
		err = fmt.Errorf("%d %s", reply.Code, r.words(reply.Msg, l))
		if reply.Code >= 500 {
			return deliver.Permanent(err)
		}
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return deliver.Permanent(fmt.Errorf("certificate of %s is not accepted: %w; %s",
			r.cfg.Host, bad.Err, certificateHint(bad.Err)))
	}
	if bad, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return deliver.Permanent(fmt.Errorf("%s does not speak TLS on this port (%s); check email.smtp.port and email.smtp.tls",
			r.cfg.Host, bad.Msg))
	}
	if bad, ok := errors.AsType[tls.AlertError](err); ok {
		return deliver.Permanent(fmt.Errorf("%s refused the TLS handshake: %w", r.cfg.Host, bad))
	}
	if bad, ok := errors.AsType[*net.DNSError](err); ok && bad.IsNotFound {
		return deliver.Permanent(fmt.Errorf("%w; check email.smtp.host", err))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the relay closed the connection")
	}
	if bad, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New(r.words(bad.Error(), l))
	}
	return err
}

// certificateHint says how to mend a certificate that does not verify.
func certificateHint(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "set email.smtp.ca_file to the certificate of the authority that signed it"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "set email.smtp.host to a name in the certificate"
	}
	return "the relay needs a new certificate"
}

// hint returns the hint for a failed step.
func (r *relay) hint(step string, err error) string {
	switch step {
	case carrier.StepResolve:
		return "Is email.smtp.host right? Do the name servers in /etc/resolv.conf answer?"
	case carrier.StepConnect:
		return fmt.Sprintf("Is email.smtp.port right, and does the relay run? Does a firewall let this machine out to port %d?", r.cfg.Port)
	case stepGreeting:
		return "What answers there may be no mail relay, expect TLS from the first byte (email.smtp.tls = \"implicit\", often port 465)," +
			" or not want this machine as a client."
	case carrier.StepTLS:
		return "Look at email.smtp.tls and email.smtp.ca_file, and at the relay's certificate."
	case carrier.StepLogin:
		return "Look at email.smtp.username, email.smtp.auth and the file that email.smtp.password_file names."
	case stepSender:
		return "May this machine send as email.from? Many relays want an address of their own domain, or a login (email.smtp.username)."
	case stepRecipient:
		return "Is the address right? A relay that takes no mail for other domains wants a login (email.smtp.username), or this machine on its list."
	case stepData:
		if errors.Is(err, deliver.ErrPermanent) {
			return "The relay refuses the message itself; its own log says more."
		}
		return "The relay's own log says more."
	}
	return ""
}
