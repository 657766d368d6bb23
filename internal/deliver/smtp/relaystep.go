package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"

	smtplog "github.com/wneessen/go-mail/log"
	"github.com/wneessen/go-mail/smtp"
)

// dialStep returns the step that failed when a connection could not be made.
func dialStep(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return carrier.StepResolve
	}
	return carrier.StepConnect
}

// tellTLS reports how the session is encrypted, or why it is not.
func (r *relay) tellTLS(rep *carrier.Steps, state tls.ConnectionState, encrypted bool) {
	switch {
	case rep == nil:
	case encrypted:
		rep.Done(carrier.StepTLS, carrier.DescribeTLS(state, !r.tls.InsecureSkipVerify), nil)
	case r.cfg.TLS == deliver.TLSNone:
		rep.Done(carrier.StepTLS, fmt.Sprintf("none: email.smtp.tls is %q", deliver.TLSNone), nil)
	default:
		rep.Done(carrier.StepTLS, "none: the relay offers no STARTTLS", nil)
	}
}

// tellLogin reports how we logged in, or that we did not.
func (r *relay) tellLogin(rep *carrier.Steps, mechanism string) {
	switch {
	case rep == nil:
	case r.cfg.Username == "":
		rep.Done(carrier.StepLogin, "none: email.smtp.username is empty", nil)
	default:
		rep.Done(carrier.StepLogin, mechanism+" as "+deliver.MaskUser(r.cfg.Username), nil)
	}
}

// tellFailure reports the step that failed and why.
func (r *relay) tellFailure(ctx context.Context, step string, err, cause error, l letter) {
	rep := carrier.StepsOf(ctx)
	if rep == nil {
		return
	}
	detail := ""
	switch step {
	case carrier.StepResolve:
		detail = r.cfg.Host
	case carrier.StepConnect, stepGreeting:
		detail = r.addr
	case carrier.StepTLS:
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
			detail = carrier.DescribeCertificate(bad.UnverifiedCertificates[0])
		}
	case carrier.StepLogin:
		detail = deliver.MaskUser(r.cfg.Username)
	case stepSender:
		detail = l.from.Address
	case stepRecipient:
		detail = deliver.Mask(l.to.Address)
	}
	rep.Done(step, detail, cause)
}

// tellAccepted reports that the relay took l, and sets the receipt.
func (r *relay) tellAccepted(ctx context.Context, said string, l letter) {
	said = r.words(said, l)
	deliver.SetReceipt(ctx, queueID(said))
	carrier.StepsOf(ctx).Done(carrier.StepAccepted, said, nil)
}

// A transcript reports the steps of one mail transaction with the relay's own
// words, which it reads off the log of the client. A nil one reports nothing.
type transcript struct {
	rep    *carrier.Steps
	r      *relay
	l      letter
	client *smtp.Client
	reply  string
}

// transcribe begins a transcript of what c does with l. It ends with stop.
func (r *relay) transcribe(ctx context.Context, c *conn, l letter) *transcript {
	rep := carrier.StepsOf(ctx)
	if rep == nil {
		return nil
	}
	t := &transcript{rep: rep, r: r, l: l, client: c.client}
	c.client.SetLogger(t)
	c.client.SetDebugLog(true)
	return t
}

// stop ends the transcript; the client may carry another letter.
func (t *transcript) stop() {
	if t != nil {
		t.client.SetDebugLog(false)
	}
}

// done reports a step that the relay agreed to.
func (t *transcript) done(step string) {
	if t == nil {
		return
	}
	var detail string
	switch step {
	case stepSender:
		detail = t.l.from.Address + ": "
	case stepRecipient:
		detail = deliver.Mask(t.l.to.Address) + ": "
	case stepData:
		detail = fmt.Sprintf("%d bytes: ", len(t.l.data))
	}
	t.rep.Done(step, detail+t.r.words(t.reply, t.l), nil)
}

// Debugf implements smtplog.Logger and keeps the last reply.
func (t *transcript) Debugf(l smtplog.Log) {
	if l.Direction == smtplog.DirServerToClient {
		t.reply = fmt.Sprintf(l.Format, l.Messages...)
	}
}

// Infof implements smtplog.Logger.
func (*transcript) Infof(smtplog.Log) {}

// Warnf implements smtplog.Logger.
func (*transcript) Warnf(smtplog.Log) {}

// Errorf implements smtplog.Logger.
func (*transcript) Errorf(smtplog.Log) {}
