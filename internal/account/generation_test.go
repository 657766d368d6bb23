package account_test

import (
	"errors"
	"strings"
	"testing"

	"mfa/internal/account"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// Everybody enrolls anew each time the policy comes back from off, if it says so: not at a
// restart, not from one mode to another, and not while a rule still asks somebody.
func TestNotePolicy(t *testing.T) {
	on, off := account.Policy{Mode: "required", Reenroll: true}, account.Policy{Mode: "off", Off: true, Reenroll: true}
	keep, byRule := account.Policy{Mode: "required"}, account.Policy{Mode: "off", Reenroll: true}
	optional := account.Policy{Mode: "optional", Reenroll: true}
	for name, tc := range map[string]struct {
		policies []account.Policy
		want     []int
	}{
		"at first":                {[]account.Policy{on, on}, []int{0, 0}},
		"off and on":              {[]account.Policy{on, off, off, on, on}, []int{0, 0, 0, 1, 1}},
		"twice":                   {[]account.Policy{off, on, off, optional}, []int{0, 1, 1, 2}},
		"modes":                   {[]account.Policy{on, optional, on}, []int{0, 0, 0}},
		"it does not say so":      {[]account.Policy{off, keep, on}, []int{0, 0, 0}},
		"off but for some":        {[]account.Policy{byRule, on, byRule, byRule}, []int{0, 0, 0, 0}},
		"off, and on for some":    {[]account.Policy{off, byRule, on}, []int{0, 1, 1}},
		"on for some, then off":   {[]account.Policy{byRule, off, byRule}, []int{0, 0, 1}},
		"it says so while it off": {[]account.Policy{off, {Mode: "off", Off: true}, on}, []int{0, 0, 1}},
	} {
		s := &storetest.Memory{}
		for i, p := range tc.policies {
			if got, err := account.NotePolicy(t.Context(), s, p); err != nil || got != tc.want[i] {
				t.Errorf("%s, policy %d: %d, %v, want %d", name, i, got, err, tc.want[i])
			}
		}
	}
}

// A note that cannot be read is no generation, and is not written over.
func TestNotePolicyThatCannotBeRead(t *testing.T) {
	s := &storetest.Memory{}
	if _, err := s.Put(t.Context(), store.Item{Key: "meta/policy", Value: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if got, err := account.NotePolicy(t.Context(), s, account.Policy{Mode: "required"}); err == nil || !strings.Contains(err.Error(), "meta/policy") {
		t.Errorf("%d, %v", got, err)
	}
	if it, err := s.Get(t.Context(), "meta/policy"); err != nil || string(it.Value) != "{" {
		t.Errorf("became %q, %v", it.Value, err)
	}
}

// A generation that comes with a backup counts in a store that knows none, and in no other.
func TestNoteGeneration(t *testing.T) {
	on := account.Policy{Mode: "required", Reenroll: true}
	s := &storetest.Memory{}
	for _, n := range []int{0, 4, 9} {
		if err := account.NoteGeneration(t.Context(), s, n); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := account.NotePolicy(t.Context(), s, on); err != nil || got != 4 {
		t.Errorf("%d, %v", got, err)
	}
	away := errors.New("the disk is on fire")
	s.Fail(away)
	if err := account.NoteGeneration(t.Context(), s, 1); !errors.Is(err, away) {
		t.Error(err)
	}
}

// When the store was begun anew is remembered in it, and in nothing else.
func TestFloor(t *testing.T) {
	s := &storetest.Memory{}
	if at, err := account.Floor(t.Context(), s); at != nil || err != nil {
		t.Errorf("never begun anew: %v, %v", at, err)
	}
	if err := account.SetFloor(t.Context(), s, confirmed); err != nil {
		t.Fatal(err)
	}
	if at, err := account.Floor(t.Context(), s); err != nil || at == nil || !at.Equal(confirmed) {
		t.Errorf("%v, %v", at, err)
	}
	put(t, account.Records{S: s}, "meta/floor", "{")
	if at, err := account.Floor(t.Context(), s); err == nil || at != nil {
		t.Errorf("one that cannot be read: %v", at)
	}
	away := errors.New("the disk is on fire")
	s.Fail(away)
	if at, err := account.Floor(t.Context(), s); !errors.Is(err, away) || at != nil {
		t.Errorf("a store out of reach: %v, %v", at, err)
	}
}
