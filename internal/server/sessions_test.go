package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// withSessions stores sessions of the IDs for a user.
func withSessions(t *testing.T, records account.Records, user string, uid uint32, ids ...string) {
	t.Helper()
	err := records.UpdateState(t.Context(), user, func(st *mfa.State) error {
		*st = mfa.State{UID: uid}
		for _, id := range ids {
			st.Sessions = append(st.Sessions, mfa.Session{ID: id, Service: "sshd", Expires: time.Now().Add(time.Hour)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// idsOf returns the IDs of the sessions of a user that are left.
func idsOf(t *testing.T, records account.Records, user string) []string {
	t.Helper()
	st, err := records.State(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, s := range st.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// Each way to sessions, as each kind of caller; what is left says what was done.
func TestWhoMayRevoke(t *testing.T) {
	const stranger = 54321 // a uid without an account
	for _, tc := range []struct {
		uid          uint32
		method, path string
		code         int
		alice        []string // left
		nobody       []string
	}{
		{0, "GET", "/v1/sessions", 200, []string{"a", "b"}, []string{"c"}},
		{0, "GET", "/v1/users/alice/sessions", 200, []string{"a", "b"}, []string{"c"}},
		{0, "GET", "/v1/users/gone/sessions", 404, []string{"a", "b"}, []string{"c"}},
		{0, "DELETE", "/v1/users/alice/sessions/a", 200, []string{"b"}, []string{"c"}},
		{0, "DELETE", "/v1/users/alice/sessions/A", 200, []string{"b"}, []string{"c"}},
		{0, "DELETE", "/v1/users/alice/sessions/c", 404, []string{"a", "b"}, []string{"c"}},
		{0, "DELETE", "/v1/users/alice/sessions/", 404, []string{"a", "b"}, []string{"c"}},
		{0, "DELETE", "/v1/users/alice/sessions", 200, []string{}, []string{"c"}},
		{0, "DELETE", "/v1/users/broken/sessions", 500, []string{"a", "b"}, []string{"c"}},
		{0, "DELETE", "/v1/sessions", 200, []string{}, []string{}},
		{nobodyUID, "GET", "/v1/sessions", 403, []string{"a", "b"}, []string{"c"}},
		{nobodyUID, "GET", "/v1/users/alice/sessions", 403, []string{"a", "b"}, []string{"c"}},
		{nobodyUID, "GET", "/v1/users/nobody/sessions", 200, []string{"a", "b"}, []string{"c"}},
		{nobodyUID, "DELETE", "/v1/users/alice/sessions", 403, []string{"a", "b"}, []string{"c"}},
		{nobodyUID, "DELETE", "/v1/users/alice/sessions/a", 403, []string{"a", "b"}, []string{"c"}},
		{nobodyUID, "DELETE", "/v1/users/nobody/sessions/c", 200, []string{"a", "b"}, []string{}},
		{nobodyUID, "DELETE", "/v1/users/nobody/sessions", 200, []string{"a", "b"}, []string{}},
		{nobodyUID, "DELETE", "/v1/sessions", 403, []string{"a", "b"}, []string{"c"}},
		{stranger, "GET", "/v1/users/nobody/sessions", 403, []string{"a", "b"}, []string{"c"}},
		{stranger, "DELETE", "/v1/users/nobody/sessions", 403, []string{"a", "b"}, []string{"c"}},
	} {
		t.Run(fmt.Sprint(tc.uid, " ", tc.method, " ", tc.path), func(t *testing.T) {
			path, records := controlDesk(t, "")
			withSessions(t, records, "alice", 1000, "a", "b")
			withSessions(t, records, "nobody", nobodyUID, "c")
			if code, out := call(t, path, tc.uid, tc.method, tc.path, ""); code != tc.code {
				t.Errorf("%d %v, want %d", code, out, tc.code)
			}
			if a, n := idsOf(t, records, "alice"), idsOf(t, records, "nobody"); !slices.Equal(a, tc.alice) || !slices.Equal(n, tc.nobody) {
				t.Errorf("left: alice %q, nobody %q; want %q, %q", a, n, tc.alice, tc.nobody)
			}
		})
	}
}

// A record that cannot be read is named, and keeps no other session alive.
func TestRevokeAllNamesWhatFailed(t *testing.T) {
	path, records := controlDesk(t, "")
	if _, err := records.S.Put(t.Context(), store.Item{Key: "state/mallory", Value: []byte("nonsense")}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * revokers {
		withSessions(t, records, fmt.Sprintf("user%03d", i), uint32(i), "x", "y")
	}
	code, out := call(t, path, 0, "DELETE", "/v1/sessions", "")
	if code != 200 || out["revoked"] != float64(6*revokers) || fmt.Sprint(out["failed"]) != "[mallory]" {
		t.Errorf("%d: %v revoked, failed %v", code, out["revoked"], out["failed"])
	}
	if users, ok := out["users"].([]any); !ok || len(users) != 3*revokers {
		t.Errorf("users: %v", out["users"])
	}
	code, out = call(t, path, 0, "GET", "/v1/sessions", "")
	if code != 200 || fmt.Sprint(out["sessions"]) != "[]" || fmt.Sprint(out["unreadable"]) != "[mallory]" {
		t.Errorf("%d %v", code, out)
	}
}
