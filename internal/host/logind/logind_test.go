package logind

import (
	"path/filepath"
	"slices"
	"testing"

	"mfa/internal/host/logind/logindtest"
)

// The answer of a bus that is not there is an error, never "no logins".
func TestNoLogind(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	if l, err := Dial(t.Context()); err == nil {
		l.Close()
		t.Error("reached a bus that is not there")
	}
}

// The caller's own login is spared, logins of programs are none, and one that cannot be
// ended keeps no other alive.
func TestEnd(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "bus"))
	fake, err := logindtest.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	for _, login := range []logindtest.Login{
		{ID: "1", UID: 1, Class: "user", Own: true},
		{ID: "2", UID: 1, Class: "user", Denied: true},
		{ID: "3", UID: 1, Class: "background"},
		{ID: "4", UID: 1, Class: "user-early"},
		{ID: "5", UID: 2, Class: "user"},
	} {
		if err := fake.Add(login); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended, spared, err := l.End(t.Context(), new(uint32(1)))
	if ended != 1 || !spared || !IsRefused(err) {
		t.Errorf("ended %d, spared %v, %v", ended, spared, err)
	}
	if left := fake.IDs(); !slices.Equal(left, []string{"1", "2", "3", "5"}) {
		t.Errorf("left are %q", left)
	}
	if ended, _, _ := l.End(t.Context(), nil); ended != 1 {
		t.Errorf("of everybody: ended %d", ended)
	}
}
