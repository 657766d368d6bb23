package account_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// remembering is what is remembered of somebody with sessions of these IDs.
func remembering(ids ...string) (st mfa.State) {
	for _, id := range ids {
		st.Sessions = append(st.Sessions, mfa.Session{ID: id, Created: confirmed, Expires: confirmed.Add(time.Hour)})
	}
	return st
}

// left are the IDs of alice's sessions.
func (w *harness) left() (ids []string) {
	for _, s := range w.state().Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// One session ends, or all do; what ended is written down, and nothing where none did.
func TestRevokeSessions(t *testing.T) {
	for name, tc := range map[string]struct {
		has    []string
		id     string
		n      int
		left   []string
		reason string // in the audit file; empty: no line
	}{
		"one":         {[]string{"a", "b", "c"}, "b", 1, []string{"a", "c"}, "session b: stolen"},
		"the only":    {[]string{"a"}, "a", 1, nil, "session a: stolen"},
		"no such":     {[]string{"a"}, "b", 0, []string{"a"}, ""},
		"all":         {[]string{"a", "b"}, "", 2, nil, "2 sessions: stolen"},
		"all, of one": {[]string{"a"}, "", 1, nil, "1 session: stolen"},
		"all of none": {nil, "", 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, strict())
			w.has(mfa.Enrollment{}, remembering(tc.has...))
			n, err := w.RevokeSessions(t.Context(), w.Records().Account(alice), tc.id, "root", "stolen")
			if err != nil || n != tc.n || !slices.Equal(w.left(), tc.left) {
				t.Errorf("%d ended, %v; left %q", n, err, w.left())
			}
			if tc.reason == "" {
				if lines := w.audited(audit.Revoked); len(lines) > 0 {
					t.Errorf("audited: %q", lines)
				}
				return
			}
			if ev := w.event(audit.Revoked); ev.Reason != tc.reason || ev.Actor != "root" || ev.User != "alice" || *ev.UID != alice.UID {
				t.Errorf("audited: %+v", ev)
			}
		})
	}
}

// Sessions of a former account of the name are no sessions of this one, and a store that
// fails ends none.
func TestRevokeSessionsOfOthers(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, remembering("a"))
	if n, err := w.RevokeSessions(t.Context(), w.Records().Account(mfa.Identity{Name: "alice", UID: 7}), "", "root", ""); n != 0 || err != nil {
		t.Errorf("another account's: %d, %v", n, err)
	}
	away := errors.New("the disk is on fire")
	w.store.Fail(away)
	if n, err := w.RevokeSessions(t.Context(), w.Records().Account(alice), "", "root", ""); n != 0 || !errors.Is(err, away) {
		t.Errorf("a store out of reach: %d, %v", n, err)
	}
	w.store.Fail(nil)
	if !slices.Equal(w.left(), []string{"a"}) || len(w.audited(audit.Revoked)) > 0 {
		t.Errorf("left %q, audited %q", w.left(), w.audited(audit.Revoked))
	}
}

// All that earlier logins left for later ones goes, and nothing of what is counted.
func TestForgetEarlier(t *testing.T) {
	w := newHarness(t, strict())
	st := remembering("a", "b")
	st.Enrolling, st.Failures, st.TOTPStep = &mfa.Enrolling{ID: "one"}, []time.Time{confirmed}, 7
	w.has(mfa.Enrollment{}, st)
	if err := w.user().ForgetEarlier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.state(); len(st.Sessions) > 0 || st.Enrolling != nil || len(st.Failures) != 1 || st.TOTPStep != 7 {
		t.Errorf("left: %+v", st)
	}
}

// Interrupt ends what is under way: here at once, with a word for the person, and anywhere
// at the next look. Nobody is under way afterwards who has left.
func TestInterrupt(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{})
	u, nobody := w.user(), w.User(w.Records().NewUnknownAccount("ghost"), home)
	_, leave := nobody.Begin(t.Context())
	defer leave()
	ctx, done := u.Begin(t.Context())
	if ids := w.InConversation(); !slices.Equal(ids, []mfa.Identity{alice}) {
		t.Errorf("under way: %+v", ids)
	}
	if err := w.Interrupt(t.Context(), w.Records().Account(alice), text.Of("You were reset."), "reset by root"); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if err := u.Unchanged(t.Context()); !errors.Is(err, account.ErrChanged) {
		t.Errorf("goes on: %v", err)
	}
	done()
	if ids := w.InConversation(); len(ids) > 0 {
		t.Errorf("still under way: %+v", ids)
	}
	if w.user().Unchanged(t.Context()) != nil {
		t.Error("one that begins now does not go on")
	}
}
