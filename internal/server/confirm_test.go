package server

import "testing"

func TestConfirmResend(t *testing.T) {
	path, _ := controlDesk(t, "")
	for _, step := range []struct {
		uid  uint32
		call [3]string // PUT an address, or resend
		code int
		key  string
		want any
	}{
		{0, [3]string{"POST", "confirm-resend"}, 404, "error", `user "alice" is not enrolled`},
		{0, [3]string{"PUT", "email", `{"address": "refused@example.com", "silent": true}`}, 200, "email", "r***d@example.com"},
		{65534, [3]string{"POST", "confirm-resend"}, 403, "to", nil},
		{0, [3]string{"POST", "confirm-resend"}, 502, "error", `the message to r***d@example.com could not be sent: no such mailbox: permanent`},
		{0, [3]string{"PUT", "email", `{"address": "alice@example.com", "silent": true}`}, 200, "email", "a***e@example.com"},
		{0, [3]string{"POST", "confirm-resend"}, 200, "to", "a***e@example.com"},
		{0, [3]string{"POST", "confirm-resend"}, 429, "to", nil},
		{0, [3]string{"POST", "reset"}, 200, "user", "alice"},
		{0, [3]string{"PUT", "email", `{"address": "alice@example.com"}`}, 200, "email", "a***e@example.com"},
		{0, [3]string{"POST", "confirm-resend"}, 429, "to", nil}, // entering it told
	} {
		code, out := call(t, path, step.uid, step.call[0], "/v1/users/alice/"+step.call[1], step.call[2])
		if code != step.code || out[step.key] != step.want {
			t.Errorf("%v: %d %v, want %d %s = %v", step.call, code, out, step.code, step.key, step.want)
		}
	}
}
