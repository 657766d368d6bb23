package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
	"mfa/internal/wire"
)

// A backup has the records as they are, even broken ones, and an empty one of what is not there.
func TestSaved(t *testing.T) {
	r, _ := newRecords()
	if s, err := r.Saved(t.Context(), "alice"); err != nil || s.User != "alice" || s.Enrollment != "" || len(s.State) > 0 {
		t.Errorf("nothing: %+v, %v", s, err)
	}
	put(t, r, store.Users+"alice", "[")
	put(t, r, store.States+"alice", "{")
	if s, err := r.Saved(t.Context(), "alice"); err != nil || s.Enrollment != "[" || string(s.State) != "{" {
		t.Errorf("broken: %+v, %v", s, err)
	}
	away := errors.New("the disk is on fire")
	m := &storetest.Memory{}
	m.Fail(away)
	if s, err := (account.Records{S: m}).Saved(t.Context(), "alice"); !errors.Is(err, away) || s.User != "" {
		t.Errorf("a store out of reach: %+v, %v", s, err)
	}
}

// busy is a store in which somebody enrolls alice anew as her state is read, so many times.
type busy struct {
	*storetest.Memory
	t    *testing.T
	left int
}

func (b *busy) Get(ctx context.Context, key string) (store.Item, error) {
	if key == store.States+"alice" && b.left > 0 {
		b.left--
		r := account.Records{S: b.Memory}
		put(b.t, r, store.Users+"alice", fmt.Sprint(b.left))
		put(b.t, r, store.States+"alice", fmt.Sprint(b.left))
	}
	return b.Memory.Get(ctx, key)
}

// The state is that of this very enrollment: a code which was used of it would be good once
// more after the restore.
func TestSavedWhileItChanges(t *testing.T) {
	r := account.Records{S: &busy{Memory: &storetest.Memory{}, t: t, left: 3}}
	if s, err := r.Saved(t.Context(), "alice"); err != nil || s.Enrollment != "0" || string(s.State) != "0" {
		t.Errorf("%+v, %v", s, err)
	}
	r = account.Records{S: &busy{Memory: &storetest.Memory{}, t: t, left: 1 << 20}}
	if s, err := r.Saved(t.Context(), "alice"); !errors.Is(err, store.ErrConflict) || s.User != "" {
		t.Errorf("again and again: %+v, %v", s, err)
	}
}

// Saved records mean what they did, or are an error; never nothing where something was.
func TestParseSaved(t *testing.T) {
	for name, tc := range map[string]struct {
		saved wire.Saved
		err   string // empty: none
	}{
		"all":                    {wire.Saved{User: "alice", Enrollment: "version = 1\nuid = 1000\n", State: []byte(`{"uid":1000}`)}, ""},
		"no state":               {wire.Saved{User: "alice", Enrollment: "version = 1\nuid = 1000\n"}, ""},
		"no enrollment":          {wire.Saved{User: "alice", State: []byte(`{"uid":1000}`)}, ""},
		"could not be read then": {wire.Saved{User: "alice", State: []byte(`{"uid":1000}`), Problem: "a bad disk"}, "a bad disk"},
		"enrollment broken":      {wire.Saved{User: "alice", Enrollment: "["}, "saved enrollment of alice"},
		"state broken":           {wire.Saved{User: "alice", Enrollment: "version = 1\nuid = 1000\n", State: []byte("{")}, "saved state of alice"},
	} {
		en, st, err := account.ParseSaved(tc.saved)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || (en.UID == 1000) != (tc.saved.Enrollment != "") || (st.UID == 1000) != (len(tc.saved.State) > 0) {
			t.Errorf("%s: %+v, %+v, %v", name, en, st, err)
		}
	}
}

// An enrollment that does not parse can be mended, and only by what does not build upon it.
func TestReplaceEnrollment(t *testing.T) {
	r, m := newRecords()
	put(t, r, store.Users+"alice", "[")
	refused := errors.New("refused")
	err := r.ReplaceEnrollment(t.Context(), "alice", func(live mfa.Enrollment) (mfa.Enrollment, error) {
		if live != (mfa.Enrollment{}) {
			t.Errorf("of what is broken: %+v", live)
		}
		return live, refused
	})
	if !errors.Is(err, refused) || stored(t, r, store.Users+"alice") != "[" {
		t.Errorf("%v, became %q", err, stored(t, r, store.Users+"alice"))
	}
	err = r.ReplaceEnrollment(t.Context(), "alice", func(mfa.Enrollment) (mfa.Enrollment, error) { return enrolled(), nil })
	if en, got := r.Enrollment(t.Context(), "alice"); err != nil || got != nil || en.Fingerprint() != enrolled().Fingerprint() {
		t.Errorf("%v, became %+v, %v", err, en, got)
	}
	// One that is the same keeps its bytes, and with them what was written by hand.
	put(t, r, store.Users+"alice", "# mine\nversion = 1\nuid = 7\n")
	m.Writes = 0
	same := func(live mfa.Enrollment) (mfa.Enrollment, error) { return live, nil }
	if err := r.ReplaceEnrollment(t.Context(), "alice", same); err != nil || m.Writes != 0 {
		t.Errorf("%v, %d writes", err, m.Writes)
	}
	if err := r.ReplaceEnrollment(t.Context(), "alice", func(mfa.Enrollment) (mfa.Enrollment, error) { return mfa.Enrollment{}, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Enrollment(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nothing is left: %v", err)
	}
}
