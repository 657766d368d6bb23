package account_test

import (
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store/storetest"
)

// Records of a uid under other names are found in a fleet as they are on one host, and no
// record of others is read for it.
func TestAliasesOfAFleet(t *testing.T) {
	s := &storetest.Memory{}
	here, there := account.Records{S: s, Host: "a"}, account.Records{S: s, Host: "b"}
	for name, uid := range map[string]uint32{"old": 7, "other": 8, "gone": 7} {
		err := there.UpdateEnrollment(t.Context(), name, func(en *mfa.Enrollment) error {
			*en = mfa.Enrollment{UID: uid, Email: &mfa.Address{Address: "a@example.com"}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := there.ResetUser(t.Context(), "gone", time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	until := time.Unix(1000, 0)
	for name, lock := range map[string]*time.Time{"locked": &until, "free": nil} {
		err := there.Account(mfa.Identity{Name: name, UID: 7}).Update(t.Context(), func(st *mfa.State) error {
			st.LockedUntil, st.TOTPStep = lock, 1
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	x := account.Aliases{Records: here, Now: func() time.Time { return time.Unix(1, 0) }}
	got, err := x.Of(t.Context(), mfa.Identity{Name: "new", UID: 7})
	if err != nil || len(got) != 2 || got[0] != "locked" || got[1] != "old" {
		t.Errorf("%q, %v; want locked, old", got, err)
	}
	if got, err = x.Of(t.Context(), mfa.Identity{Name: "old", UID: 7}); err != nil || len(got) != 1 {
		t.Errorf("%q, %v; want locked", got, err)
	}
}
