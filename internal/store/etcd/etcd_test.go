package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
	"mfa/internal/store/storetest"
)

// newKey returns a key of a fleet.
func newKey(t testing.TB) *seal.Key {
	t.Helper()
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// with is Options with that key.
func with(key *seal.Key) Options {
	return Options{Key: func(string) (*seal.Key, error) { return key, nil }, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// prefixes counts those that tests have used.
var prefixes atomic.Int64

// config returns the configuration of a store of its own in a cluster.
func config(c *etcdtest.Cluster) store.EtcdConfig {
	return store.EtcdConfig{
		Endpoints: c.Endpoints(), Prefix: fmt.Sprintf("/test%d/", prefixes.Add(1)), Timeout: mfa.Duration(5 * time.Second),
	}
}

// open opens a store, and closes it when the test ends.
func open(t testing.TB, cfg store.EtcdConfig, opts Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func conform(t *testing.T, c *etcdtest.Cluster) {
	key := newKey(t)
	storetest.Run(t,
		func(t *testing.T) store.Store { return open(t, config(c), with(key)) },
		func(t *testing.T, s store.Store) store.Store {
			was := s.(*Store)
			cfg := store.EtcdConfig{Endpoints: was.client.Endpoints(), Prefix: was.prefix, Timeout: mfa.Duration(was.timeout)}
			if err := was.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, cfg, with(key))
		})
}

func TestConformance(t *testing.T) { conform(t, etcdtest.Start(t, 1)) }

func TestConformanceOfThree(t *testing.T) { conform(t, etcdtest.Start(t, 3)) }

// eventually waits until is is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within a minute", what)
		}
	}
}
