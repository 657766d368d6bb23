package server

import (
	"testing"

	"mfa/internal/mfa"
)

// Whom the application does not name is named by the module, by the uid.
func TestAsker(t *testing.T) {
	for ruser, want := range map[string]string{"": "", "alice": "alice", "#0": "root", "#4000000000": "#4000000000", "#99999999999": "#99999999999", "#": "#", "#x": "#x"} {
		if got := asker(t.Context(), ruser); got != want {
			t.Errorf("%q: %q, want %q", ruser, got, want)
		}
	}
}

// A user who asks through su or sudo has a share of root's room; root and who is not named have none.
func TestAskersHaveAShare(t *testing.T) {
	var a askers
	alice := mfa.Request{RUser: "alice"}
	var leave []func()
	for range 3 {
		end, err := a.enter(alice, 3)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, end)
	}
	if _, err := a.enter(alice, 3); err == nil {
		t.Error("a fourth is let in")
	}
	for _, other := range []mfa.Request{{RUser: "bob"}, {RUser: "alice", RHost: "here"}, {RUser: "alice", UID: 1000}, {RUser: "root"}, {}} {
		for range 3 {
			if _, err := a.enter(other, 3); err != nil {
				t.Errorf("%+v: %v", other, err)
			}
		}
	}
	for range 9 {
		for _, free := range []mfa.Request{{RUser: "root"}, {}} {
			if _, err := a.enter(free, 3); err != nil {
				t.Errorf("%+v: %v", free, err)
			}
		}
	}
	leave[0]()
	if end, err := a.enter(alice, 3); err != nil {
		t.Errorf("after one ended: %v", err)
	} else {
		leave[0] = end
	}
	for _, end := range leave {
		end()
	}
	if n := a.by[[2]string{"alice", ""}]; n != 0 || len(a.by) != 2 {
		t.Errorf("%d are still counted, of %d users", n, len(a.by))
	}
}
