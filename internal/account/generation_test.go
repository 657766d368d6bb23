package account_test

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"mfa/internal/account"
	"mfa/internal/mfa"
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
			if got, err := account.NotePolicy(t.Context(), s, "", p); err != nil || got != tc.want[i] {
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
	if got, err := account.NotePolicy(t.Context(), s, "", account.Policy{Mode: "required"}); err == nil || !strings.Contains(err.Error(), "meta/policy") {
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
	if got, err := account.NotePolicy(t.Context(), s, "", on); err != nil || got != 4 {
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

// A disk that takes no writes keeps nobody out: the policy counts without its note, which is
// told. What else keeps it from being noted is an error.
func TestGenerationOnAReadOnlyDisk(t *testing.T) {
	s := &storetest.Memory{}
	on, off := account.Policy{Mode: "required", Reenroll: true}, account.Policy{Mode: "off", Off: true}
	var log strings.Builder
	note := func(p account.Policy) (int, error) {
		log.Reset()
		return account.Generation(t.Context(), s, "", p, slog.New(slog.NewTextHandler(&log, nil)))
	}
	if got, err := note(off); got != 0 || err != nil || log.Len() > 0 {
		t.Errorf("%d, %v, %q", got, err, &log)
	}
	s.Fail(syscall.EROFS)
	if _, err := note(on); err != nil || !strings.Contains(log.String(), "policy not noted") {
		t.Errorf("on a disk that is read-only: %v, %q", err, &log)
	}
	s.Fail(syscall.EIO)
	if _, err := note(on); !errors.Is(err, syscall.EIO) || log.Len() > 0 {
		t.Errorf("on a broken disk: %v, %q", err, &log)
	}
}

// Whatever record cannot be read: all that could have been used before counts as used, and
// what a policy that was off made void stays so.
func TestBeginAnew(t *testing.T) {
	s := &storetest.Memory{}
	r := account.Records{S: s}
	for user, generation := range map[string]int{"alice": 3, "bob": 1} {
		if err := r.UpdateEnrollment(t.Context(), user, become(mfa.Enrollment{UID: 1, Generation: generation})); err != nil {
			t.Fatal(err)
		}
	}
	put(t, r, store.Users+"broken", "version = ")
	var log strings.Builder
	enrolled, err := r.BeginAnew(t.Context(), confirmed, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || enrolled != 3 || !strings.Contains(log.String(), "user=broken") {
		t.Errorf("%d, %v, %q", enrolled, err, &log)
	}
	if since, err := account.Floor(t.Context(), s); err != nil || since == nil || !since.Equal(confirmed) {
		t.Errorf("since %v, %v", since, err)
	}
	if got, err := account.NotePolicy(t.Context(), s, "", account.Policy{Mode: "required"}); got != 3 || err != nil {
		t.Errorf("generation %d, %v", got, err)
	}
}
