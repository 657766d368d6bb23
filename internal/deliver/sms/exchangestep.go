package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
)

// The steps of a request to a gateway.
const (
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

	proxy *url.URL // nil: it goes straight

	mu      sync.Mutex // guards what follows
	at      string     // the step that has begun
	through bool       // the proxy has opened the way
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
			t.rep.Done(t.named(carrier.StepResolve), hostOf(t.host)+" -> "+carrier.Addresses(info.Addrs), nil)
		}
	}
	hooks.ConnectStart = func(string, string) { t.begin(carrier.StepConnect) }
	hooks.ConnectDone = func(_, addr string, err error) {
		if err == nil {
			t.rep.Done(t.named(carrier.StepConnect), addr, nil)
			t.ask()
		}
	}
	hooks.TLSHandshakeStart = func() { t.begin(carrier.StepTLS) }
	hooks.TLSHandshakeDone = func(state tls.ConnectionState, err error) {
		if err == nil {
			t.rep.Done(t.named(carrier.StepTLS), carrier.DescribeTLS(state, true), nil)
			t.ask()
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
	step = t.named(step)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = step
}

// named returns the name of a step: until a proxy has opened the way, what is resolved,
// connected to and encrypted is the way to the proxy.
func (t *exchangeTrace) named(step string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.proxy == nil || t.through {
		return step
	}
	switch step {
	case carrier.StepResolve:
		return stepProxyResolve
	case carrier.StepConnect:
		return stepProxyConnect
	case carrier.StepTLS:
		return stepProxyTLS
	}
	return step
}

// ask notes that a proxy, if there is one, is asked to open the way.
func (t *exchangeTrace) ask() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.proxy != nil && !t.through {
		t.at = stepTunnel
	}
}

// tunnel is tunnel, and reports it.
func (t *exchangeTrace) tunnel(ctx context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	err := tunnel(ctx, proxy, req, resp)
	if bad, ok := errors.AsType[tunnelError](err); ok {
		t.begin(bad.step)
		return err
	}
	if proxy.User != nil {
		t.rep.Done(stepProxyAuth, "basic, as "+deliver.MaskUser(proxy.User.Username()), nil)
	}
	t.rep.Done(stepTunnel, "to "+req.Host, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.through, t.host = true, t.req.URL.Host
	return nil
}

// openly returns the client for the request: one that opens a connection of its own, if
// steps are reported. The caller calls end when the answer is read.
func (t *exchangeTrace) openly(client *http.Client) (_ *http.Client, end func()) {
	kept, ok := client.Transport.(*http.Transport)
	if !ok {
		return client, func() {}
	}
	if kept.Proxy != nil {
		t.proxy, _ = kept.Proxy(t.req) // its error is that of the request
	}
	if t.rep == nil {
		return client, func() {}
	}
	own, fresh := *client, newHTTPTransport(kept.Proxy)
	if t.proxy != nil {
		t.host = t.proxy.Host
		t.begin(carrier.StepConnect)
		t.rep.Done(stepProxy, describeProxy(t.proxy), nil)
		fresh.OnProxyConnectResponse = t.tunnel
	}
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
	at, host := t.at, t.host
	t.mu.Unlock()
	detail, hint := "", ""
	switch at {
	case carrier.StepResolve, stepProxyResolve:
		detail, hint = hostOf(host), hintGatewayName
	case carrier.StepConnect:
		detail, hint = host, hintGatewayConnect
	case stepProxyConnect, stepProxyAuth, stepTunnel:
		detail, hint = host, hintProxyConnect
	case carrier.StepTLS, stepProxyTLS:
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
		step := stepStatus
		if a.proxy && a.status == http.StatusProxyAuthRequired {
			step = stepProxyAuth
		}
		rep.Done(step, fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), err)
	}
}
