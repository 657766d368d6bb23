package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
)

// The steps of a request to a gateway.
const (
	stepProxy   = "proxy"
	stepRequest = "request"
	stepStatus  = "status"
)

// An exchangeTrace follows one request to a gateway: always for its flight, and for
// carrier.Steps if there are any.
type exchangeTrace struct {
	flight
	rep  *carrier.Steps
	req  *http.Request
	who  string    // who logs in by the request; empty: nobody
	host string    // what is resolved and connected to: the gateway or a proxy
	sent sync.Once // runs tellSent

	mu sync.Mutex // guards at
	at string     // the step that has begun
}

// follow returns the trace of req and a copy of req that is traced.
func follow(req *http.Request) (*exchangeTrace, *http.Request) {
	t := &exchangeTrace{rep: carrier.StepsOf(req.Context()), req: req, host: req.URL.Host, at: carrier.StepConnect}
	var hooks httptrace.ClientTrace
	t.watch(&hooks)
	if t.rep != nil {
		t.who = credentials(req)
		t.report(&hooks)
	}
	return t, req.WithContext(httptrace.WithClientTrace(req.Context(), &hooks))
}

// credentials says how req authenticates, without the secret.
func credentials(req *http.Request) string {
	if user, _, ok := req.BasicAuth(); ok {
		return "basic, as " + deliver.MaskUser(user)
	}
	if req.URL.User != nil {
		return "basic, as " + deliver.MaskUser(req.URL.User.Username())
	}
	if req.Header.Get("Authorization") != "" {
		return "by the header Authorization"
	}
	return ""
}

// report adds to hooks what tells the reporter.
func (t *exchangeTrace) report(hooks *httptrace.ClientTrace) {
	hooks.DNSStart = func(httptrace.DNSStartInfo) { t.begin(carrier.StepResolve) }
	hooks.DNSDone = func(info httptrace.DNSDoneInfo) {
		if info.Err == nil {
			t.rep.Done(carrier.StepResolve, hostOf(t.host)+" -> "+carrier.Addresses(info.Addrs), nil)
		}
	}
	hooks.ConnectStart = func(string, string) { t.begin(carrier.StepConnect) }
	hooks.ConnectDone = func(_, addr string, err error) {
		if err == nil {
			t.rep.Done(carrier.StepConnect, addr, nil)
		}
	}
	hooks.TLSHandshakeStart = func() { t.begin(carrier.StepTLS) }
	hooks.TLSHandshakeDone = func(state tls.ConnectionState, err error) {
		if err == nil {
			t.rep.Done(carrier.StepTLS, carrier.DescribeTLS(state, true), nil)
		}
	}
	hooks.GotConn = func(httptrace.GotConnInfo) {
		if t.req.URL.Scheme == "http" {
			t.rep.Done(carrier.StepTLS, "none: the address begins with http://", nil)
		}
		t.begin(stepRequest)
	}
	wrote := hooks.WroteRequest
	hooks.WroteRequest = func(info httptrace.WroteRequestInfo) {
		wrote(info)
		if info.Err == nil {
			t.sent.Do(t.tellSent)
		}
	}
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

func (t *exchangeTrace) begin(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = step
}

// openly returns the client for the request: one that opens a connection of its own, if
// steps are reported. The caller calls end when the answer is read.
func (t *exchangeTrace) openly(client *http.Client) (_ *http.Client, end func()) {
	kept, ok := client.Transport.(*http.Transport)
	if !ok || t.rep == nil {
		return client, func() {}
	}
	if proxy, err := kept.Proxy(t.req); err == nil && proxy != nil {
		t.host = proxy.Host
		t.rep.Done(stepProxy, proxy.Redacted(), nil)
	}
	own, fresh := *client, newHTTPTransport()
	fresh.TLSClientConfig = kept.Clone().TLSClientConfig // the field itself may be changing
	own.Transport = fresh
	return &own, fresh.CloseIdleConnections
}

// tellSent reports the request, without its path, which can hold the message and the
// number.
func (t *exchangeTrace) tellSent() {
	if t.rep == nil {
		return
	}
	if t.who != "" {
		t.rep.Done(carrier.StepLogin, t.who, nil)
	}
	u := t.req.URL
	t.rep.Done(stepRequest, fmt.Sprintf("%s %s://%s, %d bytes", t.req.Method, u.Scheme, u.Host, t.req.ContentLength), nil)
	t.begin(stepStatus)
}

// tellFailure reports the step that failed, and adds a hint to cause, which is err as the
// log has it.
func (t *exchangeTrace) tellFailure(err, cause error) error {
	if t.rep == nil {
		return cause
	}
	t.mu.Lock()
	at := t.at
	t.mu.Unlock()
	detail, hint := "", ""
	switch at {
	case carrier.StepResolve:
		detail, hint = hostOf(t.host), hintGatewayName
	case carrier.StepConnect:
		detail, hint = t.host, hintGatewayConnect
	case carrier.StepTLS:
		hint = hintGatewayTLS
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
			detail = carrier.DescribeCertificate(bad.UnverifiedCertificates[0])
		}
	}
	t.rep.Done(at, detail, cause)
	if deliver.Hint(cause) != "" {
		return cause
	}
	return deliver.Hinted(cause, hint)
}

// tell reports the answer, and what is wrong with it.
func (a answer) tell(ctx context.Context, err error) {
	if rep := carrier.StepsOf(ctx); rep != nil {
		rep.Done(stepStatus, fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), err)
	}
}
