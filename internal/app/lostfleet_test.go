package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
	"mfa/internal/store/local"
)

// starts says whether a daemon starts, and why not.
func starts(t *testing.T, cfg config.Config) error {
	t.Helper()
	a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), Trusted: func() bool { return true }, hostID: "it"})
	if err == nil {
		err = a.Close()
	}
	return err
}

// refusesToStart wants a start and a check to be refused, for a reason that has that word.
func refusesToStart(t *testing.T, what string, cfg config.Config, word string) {
	t.Helper()
	if err := starts(t, cfg); err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("%s: start: %v, want %q", what, err, word)
	}
	if err := disk.CheckStore(cfg); err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("%s: check: %v, want %q", what, err, word)
	}
}

// A host that is in a fleet takes no etcd without data, and no other prefix, for a fleet that
// begins: everybody could set up a second factor there.
func TestFleetIsNotBegunTwice(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	cfg := f.hosts[0].cur.Load().cfg
	if err := f.hosts[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := starts(t, cfg); err != nil {
		t.Fatal(err)
	}
	slip := cfg
	slip.Store.Etcd.Prefix = "/mfa/berlin/"
	refusesToStart(t, "another prefix", slip, "is in a fleet")
	empty := cfg
	empty.Store.Etcd.Endpoints = etcdtest.Start(t, 1).Endpoints()
	refusesToStart(t, "an empty etcd", empty, "is in a fleet")
	if err := starts(t, cfg); err != nil {
		t.Errorf("the fleet, afterwards: %v", err)
	}
	there := slip
	there.Store.Path = filepath.Join(shortDir(t), "another")
	if err := starts(t, there); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, "another fleet", slip, "is in a fleet")
	if err := os.Remove(filepath.Join(cfg.Store.Path, "fleet")); err != nil {
		t.Fatal(err)
	}
	if err := starts(t, empty); err != nil {
		t.Errorf("a fleet that is meant to begin: %v", err)
	}
}

// A daemon that starts while etcd is away takes no etcd without data for its fleet either.
func TestFleetIsNotBegunTwiceLate(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	cfg := f.hosts[0].cur.Load().cfg
	if err := f.hosts[0].Close(); err != nil {
		t.Fatal(err)
	}
	m := etcdtest.Start(t, 1).Members[0]
	m.Kill()
	cfg.Store.Etcd.Endpoints, cfg.Store.Etcd.Timeout = []string{m.Client}, mfa.Duration(time.Second)
	a := f.start(t, cfg, "late")
	m.Start(t)
	await(t, "etcd answers", func() bool {
		err := a.joinOnce(t.Context())
		if err == nil {
			t.Fatal("it began a fleet")
		}
		return strings.Contains(err.Error(), "is in a fleet")
	})
	if v := attempt(t, a, f.user, spender{app: f.app(t, 0)}); v.Outcome != mfa.Unavailable {
		t.Errorf("a login: %+v", v)
	}
}

// A host that is in a fleet does not go on by a store of its own, where nobody is enrolled and
// everybody could set up a second factor: not when mfa.toml loses [store], nor by a slip in it.
func TestHostOfAFleetDoesNotGoAlone(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	cfg := f.hosts[0].cur.Load().cfg
	if err := f.hosts[0].Close(); err != nil {
		t.Fatal(err)
	}
	alone := cfg
	alone.Store.Backend = store.BackendLocal
	refusesToStart(t, "a store of its own", alone, "is in a fleet")
	if err := starts(t, cfg); err != nil {
		t.Errorf("the fleet, afterwards: %v", err)
	}
	if _, err := local.NewState(cfg.Store.Path, f.now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := starts(t, alone); err != nil {
			t.Errorf("begun anew: %v", err)
		}
	}
}

// A host on which people are enrolled does not join a fleet that does not know them.
func TestEnrolledHostDoesNotJoin(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	cfg := f.hosts[0].cur.Load().cfg
	cfg.Store.Path = filepath.Join(shortDir(t), "store")
	alone := cfg
	alone.Store.Backend = store.BackendLocal
	a := f.start(t, alone, "")
	user := enrollOther(t, a, "daemon", func(en *mfa.Enrollment) { en.Email = &mfa.Address{Address: "d@example.com", Confirmed: f.at} })
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, "with the key of the fleet", cfg, "mfactl migrate --to etcd")
	refusesToStart(t, "with the key of the fleet", cfg, user)

	other := cfg
	other.Secrets.KeyFile = filepath.Join(t.TempDir(), "key")
	own := alone
	own.Secrets.KeyFile, own.Store.Path = other.Secrets.KeyFile, filepath.Join(shortDir(t), "own")
	other.Store.Path = own.Store.Path
	b := f.start(t, own, "")
	enrollOther(t, b, "bin", func(en *mfa.Enrollment) { en.Email = &mfa.Address{Address: "b@example.com", Confirmed: f.at} })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, "with a key of its own", other, "before the one that is there")

	enrollOther(t, f.hosts[0], user, func(en *mfa.Enrollment) { en.Email = &mfa.Address{Address: "d@example.com", Confirmed: f.at} })
	if err := starts(t, cfg); err != nil {
		t.Errorf("all are in the fleet: %v", err)
	}
	if err := f.hosts[0].records.UpdateEnrollment(t.Context(), user, func(en *mfa.Enrollment) error { *en = mfa.Enrollment{}; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := starts(t, cfg); err != nil {
		t.Errorf("a reset in the fleet keeps a host out that is in it: %v", err)
	}

	refusesToStart(t, "a host that is in the fleet, and has people of its own", alone, "is in a fleet")
	if err := os.Remove(filepath.Join(cfg.Store.Path, "fleet")); err != nil {
		t.Fatal(err)
	}
	if err := starts(t, alone); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, "a host that left the fleet and is to be in it again", cfg, "mfactl migrate --to etcd")
}

// A host that decides without etcd stops doing so when an etcd answers that is not what it was,
// and a host that found that out does not begin to.
func TestOfflineOfARestoredEtcd(t *testing.T) {
	for _, first := range []string{"away", "restored"} {
		t.Run(first, func(t *testing.T) {
			f := newOfflineFleet(t, 1, nil)
			a, m := f.hosts[0], f.cluster.Members[0]
			f.accepts(t, a, "online", spender{app: f.app(t, -1)})
			awaitKept(t, a, 1)
			snapshot := m.Snapshot(t)
			if first == "away" {
				f.cut(t, a)
				f.pass(2 * time.Minute)
				f.accepts(t, a, "without etcd", spender{backup: f.codes[0]})
			} else {
				m.Kill()
			}
			m.Restore(t, snapshot, "--initial-cluster-token", "restored")
			m.Start(t)
			await(t, "the host finds out", func() bool { return strings.Contains(a.status(t.Context()).Problem, "restart mfad") })
			f.pass(2 * time.Minute)
			await(t, "the host refuses", func() bool {
				return attempt(t, a, f.user, spender{backup: f.codes[1]}).Outcome == mfa.Unavailable
			})
			m.Kill()
			f.pass(2 * time.Minute)
			f.refuses(t, a, "without etcd, which was restored", spender{app: f.app(t, 0)}, "")
			if st := a.status(t.Context()); st.Offline.Since != nil {
				t.Errorf("it says that it decides: %+v", st.Offline)
			}
		})
	}
}
