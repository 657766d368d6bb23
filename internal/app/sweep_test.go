package app

import (
	"context"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// over is a session that expired.
var over = mfa.Session{ID: "old", Expires: time.Unix(0, 0)}

// put stores st as the state of user.
func (a *App) put(t *testing.T, user string, s mfa.Session) {
	t.Helper()
	err := a.records.UpdateState(t.Context(), user, func(st *mfa.State) error {
		st.Sessions = []mfa.Session{s}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// left says whether anything is remembered of user.
func (a *App) left(t *testing.T, user string) bool {
	t.Helper()
	st, err := a.records.State(context.WithoutCancel(t.Context()), user)
	if err != nil {
		t.Fatal(err)
	}
	return len(st.Sessions) > 0
}

// Expired records go while the daemon runs, with nobody's doing.
func TestSweepRuns(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	a, err := New(cfg, Options{Log: (&logbook{t: t}).logger()})
	if err != nil {
		t.Fatal(err)
	}
	a.put(t, "gone", over)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	r := run(t, cfg, func(o *Options) { o.sweepFirst = time.Nanosecond })
	for late := time.Now().Add(patience); r.left(t, "gone"); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("nothing was swept")
		}
	}
}
