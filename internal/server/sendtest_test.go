package server

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// fakeSendTest takes everything but what goes to "refused@…".
func fakeSendTest(ctx context.Context, method mfa.Method, to string) ([]wire.Step, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("no deadline")
	}
	if to == "refused@example.com" {
		return []wire.Step{{Name: "recipient", Err: "550 no"}}, errors.New("relay: 550 no")
	}
	return []wire.Step{{Name: string(method), Detail: to, Took: 1500 * time.Microsecond}}, nil
}

func TestSendTest(t *testing.T) {
	path, _ := controlDesk(t, "")
	for _, c := range []struct {
		body string
		code int
		want map[string]any
	}{
		{`{"method": "email", "to": "alice@example.com"}`, 200, map[string]any{
			"ok": true, "to": "alice@example.com",
			"steps": []any{map[string]any{"name": "email", "detail": "alice@example.com", "took_ms": 1.5}},
		}},
		{`{"method": "sms", "to": "+14155552671"}`, 200, map[string]any{
			"ok": true, "to": "+14155552671",
			"steps": []any{map[string]any{"name": "sms", "detail": "+14155552671", "took_ms": 1.5}},
		}},
		{`{"method": "email", "to": "refused@example.com"}`, 200, map[string]any{
			"ok": false, "to": "refused@example.com", "error": "relay: 550 no",
			"steps": []any{map[string]any{"name": "recipient", "error": "550 no", "took_ms": 0.0}},
		}},
		{`{"method": "email", "to": "alice"}`, 400, map[string]any{
			"error": `invalid email address "alice": want one like alice@example.com`,
		}},
		{`{"method": "sms", "to": "alice"}`, 400, map[string]any{
			"error": "A number has digits only, no letters, like +17891234567",
		}},
		{`{"method": "backup", "to": "alice"}`, 400, map[string]any{
			"error": `nothing is sent by "backup": want "email", "sms" or "call"`,
		}},
		{`{"method": "email", "address": "a@example.com"}`, 400, map[string]any{
			"error": `read request: json: unknown field "address"`,
		}},
		{``, 400, map[string]any{"error": "read request: EOF"}},
	} {
		code, out := call(t, path, 0, "POST", "/v1/send-test", c.body)
		if code != c.code || !reflect.DeepEqual(out, c.want) {
			t.Errorf("%s: %d %v, want %d %v", c.body, code, out, c.code, c.want)
		}
	}
}
