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

// fail says where a letter got stuck, and what to look at.
func (r *relay) fail(step string, err error) error {
	where, _, _ := strings.Cut(step, " ")
	return hinted(fmt.Errorf("smtp relay %s: %s: %w", r.addr, step, err), r.hint(where, err))
}

// explain turns what a step of a session returned into an error for the log:
// which relay, which step, what it answered, and whether trying again can help.
func (r *relay) explain(ctx context.Context, step string, err error, l letter) error {
	cause := r.cause(ctx, err, l)
	r.tellFailure(ctx, step, err, cause, l)
	if step == stepRecipient {
		step += " " + Mask(l.to.Address)
	}
	return r.fail(step, cause)
}

// words makes what the relay says about l fit for an error or a report.
func (r *relay) words(said string, l letter) string {
	if to := l.to.Address; to != "" {
		said = strings.ReplaceAll(said, to, Mask(to))
	}
	return quote(said, append(r.privateLogin(), l.private...))
}

func (r *relay) cause(ctx context.Context, err error, l letter) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		// The reply itself is not wrapped: it may quote what is private.
		err = fmt.Errorf("%d %s", reply.Code, r.words(reply.Msg, l))
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
