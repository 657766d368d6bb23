package server

import (
	"fmt"
	"strings"
	"testing"
)

// Each line has its own result, in the order of the lines.
func TestContactsOfMany(t *testing.T) {
	path, records := controlDesk(t, "")
	body := `{"dry_run": %v, "lines": [{"user": "alice", "email": "alice@example.com"}, {"user": "broken", "email": "b@example.com"},
		{"user": "stranger", "email": "c@example.com"}, {"user": "nobody", "phone": "17891234567"}, {"user": "nobody", "phone": "+17891234567"}]}`
	for _, dry := range []bool{true, false} {
		code, out := call(t, path, 0, "POST", "/v1/contacts", fmt.Sprintf(body, dry))
		lines, _ := out["lines"].([]any)
		if code != 200 || len(lines) != 5 {
			t.Fatal(code, out)
		}
		for i, want := range []string{
			"map[email:new user:alice]", "ldap is down", `no account named "stranger" on this machine`, "Begin the number with +", "map[phone:new user:nobody]",
		} {
			if got := fmt.Sprint(lines[i]); !strings.Contains(got, want) {
				t.Errorf("dry %v, line %d: %s, want %q", dry, i, got, want)
			}
		}
		if _, err := records.Enrollment(t.Context(), "alice"); (err != nil) != dry {
			t.Errorf("dry %v: %v", dry, err)
		}
	}
}

func TestContactsRefused(t *testing.T) {
	path, _ := controlDesk(t, "")
	for body, want := range map[string]int{
		`{"lines": [` + strings.Repeat(`{"user": "alice"},`, 100) + `{"user": "alice"}]}`: 400,
		`{"lines": [{"user": "alice", "mail": "a@example.com"}]}`:                         400,
		`{"lines": []}`: 200,
		``:              400,
	} {
		if code, out := call(t, path, 0, "POST", "/v1/contacts", body); code != want {
			t.Errorf("%.60s: %d %v", body, code, out)
		}
	}
	if code, _ := call(t, path, nobodyUID, "POST", "/v1/contacts", `{"lines": [{"user": "nobody", "email": "a@example.com"}]}`); code != 403 {
		t.Errorf("nobody may enter addresses: %d", code)
	}
}
