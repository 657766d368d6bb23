package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/config"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
	"mfa/internal/store/local"
)

// A mover is a host that joins a fleet and leaves it again: f has its user and the clock.
type mover struct {
	*fleet
	t   *testing.T
	cfg config.Config
	log *logbook
}

func newMover(t *testing.T) *mover {
	t.Helper()
	m := &mover{t: t, log: &logbook{t: t}, cfg: goodConfig(filepath.Join(shortDir(t), "host"))}
	m.fleet = &fleet{user: "root", cluster: etcdtest.Start(t, 1), at: time.Now().Truncate(time.Minute).Add(10 * time.Second)}
	m.cfg.Audit.File = ""
	m.cfg.Store.Etcd.Endpoints = m.cluster.Endpoints()
	m.cfg.Store.Etcd.Timeout = mfa.Duration(10 * time.Second)
	return m
}

// start starts the daemon with that store.backend.
func (m *mover) start(backend string) (*App, error) {
	m.cfg.Store.Backend = backend
	return New(m.cfg, Options{
		Log: m.log.logger(), Now: func() time.Time { return m.at }, Trusted: func() bool { return true }, hostID: "mover",
		Load: func() (config.Config, error) { return m.cfg, nil },
	})
}

// restart is start in place of the daemon a.
func (m *mover) restart(a *App, backend string) *App {
	m.t.Helper()
	if a != nil {
		if err := a.Close(); err != nil {
			m.t.Fatal(err)
		}
	}
	a, err := m.start(backend)
	if err != nil {
		m.t.Fatal(err)
	}
	m.hosts = []*App{a}
	m.t.Cleanup(func() { _ = a.Close() })
	return a
}

// migrate copies the records while logins go on, and returns what became of the user.
func (m *mover) migrate(a *App, to string) (result string) {
	m.t.Helper()
	err := a.migrate(m.t.Context(), to, func(int) {}, func(u account.Migrated) {
		if u.Problem != nil {
			m.t.Errorf("%s: %v", u.User, u.Problem)
		}
		if u.User == m.user {
			result = u.Result
		}
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return result
}

func (m *mover) lets(a *App, in bool, what string, s spender) {
	m.t.Helper()
	if v := attempt(m.t, a, m.user, s); v.Refuses() == in {
		m.t.Errorf("%s: %+v", what, v)
	}
}

// A host moves to etcd and back. What was used before, between the two steps and in the
// fleet is used everywhere.
func TestMigrate(t *testing.T) {
	m := newMover(t)
	a := m.restart(nil, store.BackendLocal)
	m.enroll(t)
	m.lets(a, true, "on this host", spender{app: m.app(t, -1)})
	m.lets(a, true, "on this host", spender{backup: m.codes[0]})
	if err := a.migrate(t.Context(), store.BackendLocal, nil, nil); err == nil {
		t.Error("to where it is")
	}
	if got := m.migrate(a, store.BackendEtcd); got != account.MovedCopied {
		t.Errorf("became %q", got)
	}
	if st := a.status(t.Context()); !strings.Contains(st.Moving, `set store.backend = "etcd"`) {
		t.Errorf("status: %q", st.Moving)
	}
	if err := a.rotateKey(t.Context(), func(int) {}, func(string, error) {}); err == nil {
		t.Error("a key that the fleet does not have")
	}
	m.lets(a, true, "between the steps", spender{app: m.app(t, 0)})
	a = m.restart(a, store.BackendEtcd)
	m.lets(a, false, "a code used between the steps", spender{app: m.app(t, 0)})
	m.lets(a, false, "a backup code used before", spender{backup: m.codes[0]})
	m.lets(a, true, "in the fleet", spender{backup: m.codes[1]})
	m.lets(a, true, "in the fleet", spender{app: m.app(t, 1)})
	if st := a.status(t.Context()); st.Moving != "" || st.Users != 1 {
		t.Errorf("status: %+v", st)
	}
	m.refusesLocal(a)

	a = m.restart(nil, store.BackendEtcd)
	if m.migrate(a, store.BackendLocal); a.status(t.Context()).Moving == "" {
		t.Error("status does not say that the records come back")
	}
	m.at = m.at.Add(time.Minute)
	m.lets(a, true, "between the steps", spender{app: m.app(t, 0)})
	a = m.restart(a, store.BackendLocal)
	m.lets(a, false, "a code used between the steps", spender{app: m.app(t, 0)})
	m.lets(a, false, "a backup code used in the fleet", spender{backup: m.codes[1]})
	m.lets(a, true, "back here", spender{app: m.app(t, 1)})
	if mark, err := local.Moved(m.cfg.Store.Path); err != nil || mark != nil {
		t.Errorf("marked %+v, %v", mark, err)
	}
}

// refusesLocal closes the daemon a, and starts it with the store that it left.
func (m *mover) refusesLocal(a *App) {
	m.t.Helper()
	if err := a.Close(); err != nil {
		m.t.Fatal(err)
	}
	_, err := m.start(store.BackendLocal)
	if err == nil || !strings.Contains(err.Error(), "moved to etcd /mfa/") || !strings.Contains(err.Error(), "mfad --new-state") {
		m.t.Errorf("with the records of before: %v", err)
	}
}

// A start with etcd away decides nothing before the records have moved.
func TestMigrateStartsLate(t *testing.T) {
	m := newMover(t)
	a := m.restart(nil, store.BackendLocal)
	m.enroll(t)
	m.migrate(a, store.BackendEtcd)
	m.lets(a, true, "between the steps", spender{app: m.app(t, 0)})
	m.cfg.Store.Etcd.Timeout = mfa.Duration(300 * time.Millisecond)
	m.cluster.Members[0].Kill()
	a = m.restart(a, store.BackendEtcd)
	if v := attempt(t, a, m.user, spender{app: m.app(t, 1)}); v.Outcome != mfa.Unavailable {
		t.Errorf("without etcd: %+v", v)
	}
	m.cluster.Members[0].Start(t)
	a.join(t.Context())
	m.lets(a, false, "a code used between the steps", spender{app: m.app(t, 0)})
	m.lets(a, true, "in the fleet", spender{app: m.app(t, 1)})
}

// A host that lost etcd for good begins anew: nothing that was used is good.
func TestMigrateLosesEtcd(t *testing.T) {
	m := newMover(t)
	a := m.restart(nil, store.BackendLocal)
	m.enroll(t)
	m.migrate(a, store.BackendEtcd)
	a = m.restart(a, store.BackendEtcd)
	m.lets(a, true, "in the fleet", spender{app: m.app(t, 0)})
	m.refusesLocal(a)
	m.cluster.Members[0].Kill()
	if _, err := local.NewState(m.cfg.Store.Path, m.at); err != nil {
		t.Fatal(err)
	}
	a = m.restart(nil, store.BackendLocal)
	m.lets(a, false, "a code that was used in the fleet", spender{app: m.app(t, 0)})
	m.lets(a, false, "a backup code", spender{backup: m.codes[0]})
	m.at = m.at.Add(2 * time.Minute)
	m.lets(a, true, "a code of now", spender{app: m.app(t, 0)})
}

// A host whose key the fleet does not have is told how to get there, and nothing is copied.
// With both keys its users are let in on all hosts.
func TestMigrateWithAnotherKey(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	fleetCfg := f.hosts[0].cur.Load().cfg
	m := &mover{t: t, log: &logbook{t: t}, cfg: goodConfig(filepath.Join(shortDir(t), "host"))}
	m.fleet = &fleet{user: "daemon", cluster: f.cluster, at: f.at}
	m.cfg.Audit.File, m.cfg.Store.Etcd = "", fleetCfg.Store.Etcd
	a := m.restart(nil, store.BackendLocal)
	m.enroll(t)
	m.lets(a, true, "on this host", spender{app: m.app(t, -1)})
	err := a.migrate(t.Context(), store.BackendEtcd, func(int) {}, func(account.Migrated) {})
	if err == nil || !strings.Contains(err.Error(), "before that of this host") {
		t.Errorf("with another key: %v", err)
	}
	if mark, err := local.Moved(m.cfg.Store.Path); err != nil || mark != nil {
		t.Errorf("marked %+v, %v", mark, err)
	}
	var keys []byte
	for _, path := range []string{fleetCfg.Secrets.KeyFile, m.cfg.Secrets.KeyFile} {
		key, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key...)
	}
	if err := os.WriteFile(m.cfg.Secrets.KeyFile, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	a = m.restart(a, store.BackendLocal)
	if got := m.migrate(a, store.BackendEtcd); got != account.MovedCopied {
		t.Errorf("with both keys: %q", got)
	}
	a = m.restart(a, store.BackendEtcd)
	m.lets(f.hosts[0], false, "a code used before, on another host", spender{app: m.app(t, -1)})
	m.lets(f.hosts[0], true, "on another host", spender{app: m.app(t, 0)})

	// Its own key goes, and it comes back. What its store had could not be read then.
	if err := os.WriteFile(m.cfg.Secrets.KeyFile, keys[:len(keys)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	a = m.restart(a, store.BackendEtcd)
	m.migrate(a, store.BackendLocal)
	a = m.restart(a, store.BackendLocal)
	m.lets(a, false, "a code used in the fleet", spender{app: m.app(t, 0)})
	m.lets(a, true, "back here", spender{app: m.app(t, 1)})
}
