package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// sendTestTimeout bounds a test message. It is below the timeouts of mfactl and of the
// server for a request, so that a report of what hangs still arrives.
const sendTestTimeout = 25 * time.Second

func (s exchange) sendTest(r *http.Request, actor string) (any, error) {
	var in wire.SendTest
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	to, err := testRecipient(in.Method, in.To)
	if err != nil {
		return nil, fault{http.StatusBadRequest, err}
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), sendTestTimeout, fmt.Errorf("not done within %v", sendTestTimeout))
	defer cancel()
	steps, err := s.SendTest(ctx, in.Method, to)
	s.Log.Info("test message", "actor", actor, "method", in.Method, "to", deliver.Mask(to), "error", err)
	out := wire.SendTestReport{OK: err == nil, To: to, Steps: steps}
	if err != nil {
		out.Error, out.Hint = err.Error(), deliver.Hint(err)
	}
	return out, nil
}

// testRecipient checks an address or number and returns it as it is sent to. Any country
// will do: sms.regions is for users, and this is for administrators.
func testRecipient(method mfa.Method, to string) (string, error) {
	switch method {
	case mfa.Email:
		if !mfa.IsAddress(to) {
			return "", fmt.Errorf("invalid email address %q: want one like alice@example.com", to)
		}
		return to, nil
	case mfa.SMS, mfa.Call:
		return deliver.ParsePhone(to, nil)
	}
	return "", fmt.Errorf("nothing is sent by %q: want %q, %q or %q", method, mfa.Email, mfa.SMS, mfa.Call)
}
