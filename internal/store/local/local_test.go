package local

import (
	"path/filepath"
	"strings"
	"testing"

	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// theKey vouches for what the tests store; a process of its own has the same.
var theKey = func() *seal.Key {
	k, err := seal.Parse(strings.Repeat("5a", 32) + "\n")
	if err != nil {
		panic(err)
	}
	return k
}()

// aKey is the key of every store of the tests.
func aKey(string) (*seal.Key, error) { return theKey, nil }

// newStore returns an empty store that ends with the test.
func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "mfa"))
}

// openStore opens the store in dir until the test ends.
func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, aKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	open := func(t *testing.T) store.Store { return newStore(t) }
	reopen := func(t *testing.T, s store.Store) store.Store {
		old := s.(*Store)
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		return openStore(t, old.dir)
	}
	storetest.Run(t, open, reopen)
}
