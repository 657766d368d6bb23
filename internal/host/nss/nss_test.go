package nss

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// me returns the account that runs the test, as the Go library knows it.
func me(t *testing.T) mfa.Identity {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return mfa.Identity{Name: u.Username, UID: uint32(uid)}
}

func TestLookup(t *testing.T) {
	want := me(t)
	if id, err := Lookup(t.Context(), want.Name); err != nil || id != want {
		t.Errorf("%+v %v, want %+v", id, err, want)
	}
	if id, err := LookupUID(t.Context(), uint32(os.Getuid())); err != nil || id != want {
		t.Errorf("by uid: %+v %v, want %+v", id, err, want)
	}
	for _, name := range []string{"", " " + want.Name, want.Name + " ", "no-such-user", "../" + want.Name, want.Name + "\x00b", strings.Repeat("a", 100000)} {
		if id, err := Lookup(t.Context(), name); !errors.Is(err, ErrNoAccount) || id != (mfa.Identity{}) {
			t.Errorf("%.40q: %+v %v, want ErrNoAccount", name, id, err)
		}
	}
	if id, err := LookupUID(t.Context(), 4000000000); !errors.Is(err, ErrNoAccount) {
		t.Errorf("uid of nobody: %+v %v", id, err)
	}
}

func TestGroups(t *testing.T) {
	var groups Groups
	gid, err := groups.ID(t.Context(), "root")
	if err != nil || gid != 0 {
		t.Errorf("group root: %d %v", gid, err)
	}
	gids, err := groups.Of(t.Context(), "root")
	if err != nil || !slices.Contains(gids, 0) {
		t.Errorf("groups of root: %d %v", gids, err)
	}
	for _, name := range []string{"", "no-such-group-here", "root\x00x", " root"} {
		if gid, err := groups.ID(t.Context(), name); !errors.Is(err, ErrNoGroup) {
			t.Errorf("group %q: %d %v", name, gid, err)
		}
	}
	if gids, err := groups.Of(t.Context(), "no-such-account-here"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("groups of nobody: %d, %v", gids, err)
	}
}
