package sms

import (
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"mfa/internal/deliver"
)

// A flight notes whether a request was sent: if the connection ends then, the request may
// have been taken.
type flight struct{ out atomic.Bool }

// watch adds to t what the flight must know. The header counts as the request:
// they leave together, and the hook for the end may come too late.
func (f *flight) watch(t *httptrace.ClientTrace) {
	t.WroteHeaders = func() { f.out.Store(true) }
	t.WroteRequest = func(info httptrace.WroteRequestInfo) { f.out.Store(info.Err == nil) }
}

// judge marks err if the request may have been taken.
func (f *flight) judge(err error) error {
	if f.out.Load() {
		return deliver.Uncertain(deliver.Hinted(err, hintGatewaySilent))
	}
	return err
}

// judge marks err as uncertain if a proxy answered that it got no answer from the gateway
// (RFC 9110, 15.6.5).
func (a answer) judge(err error) error {
	if a.status == http.StatusGatewayTimeout {
		return deliver.Uncertain(err)
	}
	return err
}
