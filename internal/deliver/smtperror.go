package deliver

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
)

// fail says where a letter got stuck.
func (r *relay) fail(step string, err error) error {
	return fmt.Errorf("smtp relay %s: %s: %w", r.addr, step, err)
}

// explain turns what a step of a session returned into an error for the log:
// which relay, which step, what it answered, and whether trying again can help.
func (r *relay) explain(ctx context.Context, step string, err error, l letter) error {
	if step == stepRecipient {
		step += " " + Mask(l.to.Address)
	}
	return r.fail(step, r.cause(ctx, err, l))
}

func (r *relay) cause(ctx context.Context, err error, l letter) error {
	private := append(r.privateLogin(), l.private...)
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		// The reply itself is not wrapped: it may quote what is private.
		msg := reply.Msg
		if to := l.to.Address; to != "" {
			msg = strings.ReplaceAll(msg, to, Mask(to))
		}
		err = fmt.Errorf("%d %s", reply.Code, quote(msg, private))
		if reply.Code >= 500 {
			return permanent(err)
		}
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return permanent(fmt.Errorf("certificate of %s is not accepted: %w; %s",
			r.cfg.Host, bad.Err, certificateHint(bad.Err)))
	}
	if bad, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return permanent(fmt.Errorf("%s does not speak TLS on this port (%s); check email.smtp.port and email.smtp.tls",
			r.cfg.Host, bad.Msg))
	}
	if bad, ok := errors.AsType[tls.AlertError](err); ok {
		return permanent(fmt.Errorf("%s refused the TLS handshake: %w", r.cfg.Host, bad))
	}
	if bad, ok := errors.AsType[*net.DNSError](err); ok && bad.IsNotFound {
		return permanent(fmt.Errorf("%w; check email.smtp.host", err))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the relay closed the connection")
	}
	if bad, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New(quote(bad.Error(), private))
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
