package deliver

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// ErrUncertain is wrapped by errors of a text message that may have been taken
// all the same: the request was out, and no answer came. Each such attempt can
// cost, and ring twice; so Retry makes one more and no third.
var ErrUncertain = errors.New("the message may have been taken")

// maxUncertain is after how many attempts that may each have been taken Retry
// gives up.
const maxUncertain = 2

// An uncertainError is an error that wraps ErrUncertain without saying so.
type uncertainError struct{ error }

func (e uncertainError) Unwrap() []error { return []error{e.error, ErrUncertain} }

// A flight notes whether a request is on its way, so that nobody knows what
// became of it when the connection ends.
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
		return uncertainError{hinted(err, hintGatewaySilent)}
	}
	return err
}

// judge marks err, which tells of the answer of somebody in between who had none
// from the gateway (RFC 9110, 15.6.5).
func (a answer) judge(err error) error {
	if a.status == http.StatusGatewayTimeout {
		return uncertainError{err}
	}
	return err
}
