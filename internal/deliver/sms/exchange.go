package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mfa/internal/deliver"
)

const (
	// maxGatewayConns bounds the connections to one gateway. Twilio takes far
	// more; a modem in the cellar may not.
	maxGatewayConns = 8
	// maxGatewayAnswer bounds, in bytes, what is read of an answer.
	maxGatewayAnswer = 64 << 10
	// idleFor is how long a connection waits for the next message.
	idleFor = 30 * time.Second
)

// newHTTPClient returns a client that keeps its connections for the next message
// and follows no redirect (a message is not for whom the gateway points at).
func newHTTPClient(by road) *http.Client {
	return &http.Client{
		Transport:     newHTTPTransport(by.proxy),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newHTTPTransport returns a transport that goes by a proxy, if there is one.
func newHTTPTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            new(net.Dialer).DialContext,
		OnProxyConnectResponse: tunnel,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        maxGatewayConns,
		MaxIdleConnsPerHost:    maxGatewayConns,
		IdleConnTimeout:        idleFor,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

// An answer is the answer of a gateway, read to its end so that the connection can
// carry the next message.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    bool // the body ended too early, or was too long
	proxy  bool // it came by a proxy, and may be the proxy's own
}

// exchange sends one request. Its error never holds the request's address,
// which may hold the message.
func exchange(client *http.Client, req *http.Request) (answer, error) {
	trace, req := follow(req)
	client, end := trace.openly(client)
	defer end()
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, trace.tellFailure(err, trace.judge(httpCause(req, trace.proxy, err)))
	}
	defer resp.Body.Close()
	trace.sent.Do(trace.tellSent)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGatewayAnswer+1))
	cut := err != nil || len(body) > maxGatewayAnswer
	return answer{status: resp.StatusCode, header: resp.Header, body: body, cut: cut, proxy: trace.proxy != nil}, nil
}

// httpCause says why there was no answer, by the proxy if there is one, and whether
// trying again can help.
func httpCause(req *http.Request, proxy *url.URL, err error) error {
	if ctx := req.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if bad, ok := errors.AsType[tunnelError](err); ok {
		return bad
	}
	if bad, ok := errors.AsType[*net.OpError](err); ok && bad.Op == "proxyconnect" {
		return proxyCause(proxy, bad.Err)
	}
	if cause := tlsCause(req.URL.Host, err); cause != nil {
		return cause
	}
	if bad, ok := errors.AsType[*net.DNSError](err); ok && bad.IsNotFound {
		return deliver.Misconfigured(deliver.Hinted(bad, hintGatewayName))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if proxy != nil {
			return errors.New("the gateway closed the connection, or the proxy")
		}
		return errors.New("the gateway closed the connection")
	}
	if bad, ok := errors.AsType[*net.OpError](err); ok && bad.Op == "dial" {
		return deliver.Hinted(err, hintGatewayConnect)
	}
	return err
}

// tlsCause says why there is no TLS with host; nil if err has another reason.
func tlsCause(host string, err error) error {
	bad, refused := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	alert, alerted := errors.AsType[tls.AlertError](err)
	switch {
	case refused:
		err = deliver.Hinted(fmt.Errorf("certificate of %s is not accepted: %w", host, bad.Err), hintGatewayTLS)
	case plain, errors.Is(err, http.ErrSchemeMismatch): // net/http's word for an answer in HTTP
		err = deliver.Hinted(fmt.Errorf("%s does not speak TLS on this port", host), hintGatewayTLSPort)
	case alerted:
		err = fmt.Errorf("%s refused the TLS handshake: %w", host, alert)
	default:
		return nil
	}
	return deliver.Misconfigured(err)
}

// byStatus marks err, which is about the answer, by whether another attempt can help, as
// RFC 9110, 15 has it for the status.
func (a answer) byStatus(err error, now time.Time) error {
	switch {
	case a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout, a.status >= 500:
		return a.busy(err, now)
	case a.status < 400, a.status == http.StatusUnauthorized, a.status == http.StatusForbidden,
		a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed,
		a.status == http.StatusProxyAuthRequired:
		return deliver.Misconfigured(err)
	}
	return deliver.Permanent(err)
}

// busy adds to err how long the gateway wants to be left alone, if it says so.
func (a answer) busy(err error, now time.Time) error {
	if wait, ok := askedWait(a.header.Get("Retry-After"), now); ok {
		return deliver.Busy(err, wait)
	}
	return err
}

// askedWait reads Retry-After (RFC 9110, 10.2.3): seconds or a date.
func askedWait(value string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// withTimeout returns a context that ends after one attempt's time.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v", d))
}
