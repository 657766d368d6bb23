package server

import (
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// enrolled puts a user with an address into the store.
func enrolled(t *testing.T, path, name string) {
	t.Helper()
	if code, out := call(t, path, 0, "PUT", "/v1/users/"+name+"/email", `{"address": "`+name+`@example.com"}`); code != 200 {
		t.Fatal(code, out)
	}
}

func TestUsersIsAStream(t *testing.T) {
	path, records := controlDesk(t, "")
	enrolled(t, path, "alice")
	err := records.UpdateState(t.Context(), "bob", func(st *mfa.State) error { st.UID, st.LockedHard = 7, true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for query, address := range map[string]string{"": "a***e@example.com", "?reveal=true": "alice@example.com"} {
		code, out := call(t, path, 0, "GET", "/v1/users"+query, "")
		if code != 200 || out["total"] != 2.0 { // the first line
			t.Errorf("%d %v", code, out)
		}
		lines := callLines(t, path, 0, "GET", "/v1/users"+query, "")[1:]
		if len(lines) != 4 || !strings.Contains(lines[1], `"`+address+`"`) || !strings.Contains(lines[2], `"user":"bob","uid":7,`) ||
			lines[3] != `{"end":true}` {
			t.Errorf("%q: %q", query, lines)
		}
	}
}

// A beginning that is refused has a status; a question that may not be asked has no answer.
func TestStreamRefused(t *testing.T) {
	path, _ := controlDesk(t, "mfa-admin")
	enrolled(t, path, "alice")
	if code, out := call(t, path, 65534, "GET", "/v1/users", ""); code != 403 || out["total"] != nil || out["error"] == "" {
		t.Errorf("%d %v", code, out)
	}
}
