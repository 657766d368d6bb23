package server

import "testing"

func TestLockByControl(t *testing.T) {
	path, records := controlDesk(t, "")
	for _, step := range []struct {
		path, body string
		code       int
		key        string
		want       any
	}{
		{"alice/lock", ``, 400, "error", "read request: EOF"},
		{"alice/lock", `{"four": "2h"}`, 400, "error", `read request: json: unknown field "four"`},
		{"alice/lock", `{"for": "soon"}`, 400, "error", `read request: "soon" is not a duration like "90s", "10m" or "90d"`},
		{"alice/lock", `{"for": "366d"}`, 400, "error", "a lock lasts 365d at most, or until unlocked"},
		{"nobody-here/lock", `{}`, 404, "error", `no account named "nobody-here" on this machine`},
		{"broken/lock", `{}`, 500, "error", "ldap is down"},
		{"alice/lock", `{"for": "2h"}`, 200, "user", "alice"},
		{"alice/lock", `{}`, 200, "until", nil},
		{"alice/unlock", ``, 200, "was_locked", true},
	} {
		code, out := call(t, path, 0, "POST", "/v1/users/"+step.path, step.body)
		if code != step.code || out[step.key] != step.want {
			t.Errorf("%s %s: %d %v, want %d %s = %v", step.path, step.body, code, out, step.code, step.key, step.want)
		}
	}
	if code, out := call(t, path, 65534, "POST", "/v1/users/alice/lock", `{}`); code != 403 {
		t.Errorf("somebody else: %d %v", code, out)
	}
	if st, err := records.State(t.Context(), "alice"); err != nil || st.LockedHard || st.LockedUntil != nil || st.LockedBy != "" {
		t.Errorf("%+v %v", st, err)
	}
}
