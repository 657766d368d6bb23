package account_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// crowd returns records of some who are enrolled, some of whom only a state is known, and
// some with both.
func crowd(t *testing.T) *storetest.Memory {
	t.Helper()
	s := &storetest.Memory{}
	r := account.Records{S: s}
	for i, user := range []string{"alice", "bob", "carol", "erin"} {
		err := r.UpdateEnrollment(t.Context(), user, func(en *mfa.Enrollment) error { en.Version, en.UID = 1, uint32(i+1); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, user := range []string{"aaron", "bob", "dave", "erin", "frank"} {
		if err := r.UpdateState(t.Context(), user, func(st *mfa.State) error { st.UID, st.TOTPStep = uint32(i+10), 7; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// listed is what Each says of all, in short.
func listed(t *testing.T, s store.Store) (all []string, err error) {
	t.Helper()
	err = account.Records{S: s, Since: &confirmed}.Each(t.Context(), func(u account.Stored) error {
		all = append(all, fmt.Sprintf("%s %v %d %d since %v: %v", u.User, u.Enrolled, u.Enrollment.UID, u.State.UID, u.State.Since != nil, u.Problem != nil))
		return nil
	})
	return all, err
}

func TestEach(t *testing.T) {
	s := crowd(t)
	want := []string{
		"aaron false 0 10 since false: false",
		"alice true 1 0 since true: false",
		"bob true 2 11 since false: false",
		"carol true 3 0 since true: false",
		"dave false 0 12 since false: false",
		"erin true 4 13 since false: false",
		"frank false 0 14 since false: false",
	}
	if all, err := listed(t, s); err != nil || !slices.Equal(all, want) {
		t.Errorf("%q, %v", all, err)
	}
	for _, key := range []string{"users/erin", "state/erin"} {
		all, err := listed(t, spoiled{s, key})
		if err != nil || len(all) != len(want) || all[5] != fmt.Sprintf("erin true %d 0 since true: true", map[string]int{"state/erin": 4}[key]) {
			t.Errorf("%s: %q, %v", key, all, err)
		}
	}
	if all, err := listed(t, &storetest.Memory{}); len(all) > 0 || err != nil {
		t.Errorf("of nobody: %q, %v", all, err)
	}
}

// errAway is that of a store which ends in the middle.
var errAway = errors.New("the store is away")

// An ending store cannot list the items of one key space to its end.
type ending struct {
	store.Store
	space string
}

func (s ending) Keys(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.Store.Keys(ctx, prefix)
	if prefix == s.space {
		return keys[:1], errAway
	}
	return keys, err
}

func TestEachEnds(t *testing.T) {
	s := crowd(t)
	for _, space := range []string{store.Users, store.States} {
		all, err := listed(t, ending{s, space})
		if !errors.Is(err, errAway) || len(all) > 2 {
			t.Errorf("%s: %q, %v", space, all, err)
		}
	}
	calls := 0
	enough := errors.New("enough")
	err := account.Records{S: s}.Each(t.Context(), func(account.Stored) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err = account.Records{S: s}.Each(ctx, func(account.Stored) error { calls++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
