package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/config/disk"
	"mfa/internal/mfa"
)

// A database that is lost is nothing the daemon begins anew by itself; on an
// administrator's word it does, and nothing used before is good again.
func TestNewState(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	if err := open(t, cfg); err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(cfg.Store.Path, "users")
	if err := os.WriteFile(filepath.Join(users, "alice.toml"), []byte("version = 1\nuid = 1\ngeneration = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.CheckStore(cfg); err != nil {
		t.Errorf("a good store: %v", err)
	}
	state := filepath.Join(cfg.Store.Path, "state.db")
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	const want = "mfad --new-state"
	if err := open(t, cfg); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), state) {
		t.Errorf("New: %v", err)
	}
	if err := disk.CheckStore(cfg); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Check: %v", err)
	}
	if _, err := disk.NewState(cfg, false, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := disk.CheckStore(cfg); err != nil {
		t.Errorf("Check afterwards: %v", err)
	}
	now := time.Now().Truncate(time.Second)
	for range 2 { // once; the second start knows
		a, err := New(cfg, Options{Log: (&logbook{t: t}).logger(), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		st, err := a.records.State(t.Context(), "alice")
		if err != nil || st.Since == nil || !st.Since.Equal(now) {
			t.Errorf("state %+v, %v", st, err)
		}
		if g := a.accounts().Config().Generation; g != 3 {
			t.Errorf("generation %d: what was void counts again", g)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(cfg.Store.Path, "new-state")); err == nil {
		t.Error("the next loss would go unnoticed")
	}
}

// Times in a record are believed as far as is configured now.
func TestStoredTimesAreBounded(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	now := r.App.opts.Now()
	err := account.Records{S: r.App.store}.UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		until := now.Add(10 * 365 * 24 * time.Hour)
		st.LockedUntil, st.Failures = &until, []time.Time{until}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := r.App.records.State(t.Context(), "alice")
	if err != nil || st.LockedUntil == nil || st.LockedUntil.After(now.Add(time.Duration(r.cfg.Lockout.Duration)+time.Minute)) || st.Failures != nil {
		t.Errorf("%+v, %v", st, err)
	}
}
