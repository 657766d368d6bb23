package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"strings"

	smtplog "github.com/wneessen/go-mail/log"
	"github.com/wneessen/go-mail/smtp"
)

// The steps of a sending that no error names.
const (
	stepProxy    = "proxy"
	stepRun      = "run"
	stepWrite    = "write"
	stepRequest  = "request"
	stepStatus   = "status"
	stepAccepted = "accepted"
)

// dialling returns a context under which dialling reports its steps. Package net
// calls the hooks of httptrace for every connection, not only for HTTP.
func (r *reporter) dialling(ctx context.Context, host string) context.Context {
	if r == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			if info.Err == nil {
				r.done(stepResolve, host+" -> "+addresses(info.Addrs), nil)
			}
		},
		ConnectDone: func(_, addr string, err error) {
			if err == nil {
				r.done(stepConnect, addr, nil)
			}
		},
	})
}

func addresses(found []net.IPAddr) string {
	texts := make([]string, len(found))
	for i, a := range found {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// dialStep returns what failed when a connection could not be made.
func dialStep(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return stepResolve
	}
	return stepConnect
}

// tellTLS reports how the session is encrypted, or why it is not.
func (r *relay) tellTLS(rep *reporter, state tls.ConnectionState, encrypted bool) {
	switch {
	case rep == nil:
	case encrypted:
		rep.done(stepTLS, describeTLS(state, !r.tls.InsecureSkipVerify), nil)
	case r.cfg.TLS == TLSNone:
		rep.done(stepTLS, fmt.Sprintf("none: email.smtp.tls is %q", TLSNone), nil)
	default:
		rep.done(stepTLS, "none: the relay offers no STARTTLS", nil)
	}
}

// tellLogin reports how we logged in, or that we did not.
func (r *relay) tellLogin(rep *reporter, mechanism string) {
	switch {
	case rep == nil:
	case r.cfg.Username == "":
		rep.done(stepLogin, "none: email.smtp.username is empty", nil)
	default:
		rep.done(stepLogin, mechanism+" as "+maskUser(r.cfg.Username), nil)
	}
}

// tellFailure reports the step that failed and why.
func (r *relay) tellFailure(ctx context.Context, step string, err, cause error, l letter) {
	rep := reporterOf(ctx)
	if rep == nil {
		return
	}
	detail := ""
	switch step {
	case stepResolve:
		detail = r.cfg.Host
	case stepConnect, stepGreeting:
		detail = r.addr
	case stepTLS:
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
			detail = describeCertificate(bad.UnverifiedCertificates[0])
		}
	case stepLogin:
		detail = maskUser(r.cfg.Username)
	case stepSender:
		detail = l.from.Address
	case stepRecipient:
		detail = Mask(l.to.Address)
	}
	rep.done(step, detail, cause)
}

// tellAccepted reports that the relay took l, and by which name.
func (r *relay) tellAccepted(ctx context.Context, said string, l letter) {
	rep, asked := reporterOf(ctx), ctx.Value(receiptKey{}) != nil
	if rep == nil && !asked {
		return
	}
	said = r.words(said, l)
	setReceipt(ctx, queueID(said))
	rep.done(stepAccepted, said, nil)
}

// A transcript reports the steps of one mail transaction with the relay's own
// words, which it reads off the log of the client. A nil one reports nothing.
type transcript struct {
	rep    *reporter
	r      *relay
	l      letter
	client *smtp.Client
	reply  string
}

// transcribe begins a transcript of what c does with l. It ends with stop.
func (r *relay) transcribe(ctx context.Context, c *conn, l letter) *transcript {
	rep := reporterOf(ctx)
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
		detail = Mask(t.l.to.Address) + ": "
	case stepData:
		detail = fmt.Sprintf("%d bytes: ", len(t.l.data))
	}
	t.rep.done(step, detail+t.r.words(t.reply, t.l), nil)
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
