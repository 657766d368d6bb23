package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"mfa/internal/store"
)

// commits returns how many transactions the database has had, each a sync.
func commits(t testing.TB, s *Store) int {
	t.Helper()
	var n int
	if err := s.writer.db.View(func(tx *bolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// hold keeps the writer from writing until the returned function is called.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	tx, err := s.writer.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

// awaitWaiting returns when n writes wait.
func awaitWaiting(s *Store, n int) {
	for {
		s.writer.mu.Lock()
		waiting := len(s.writer.waiting)
		s.writer.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func TestManyWaitingWritesShareOneSync(t *testing.T) {
	const writers = 64
	s := newStore(t)
	before := commits(t, s)
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			it := store.Item{Key: fmt.Sprintf("state/user%d", i), Value: []byte("x")}
			if _, err := s.Put(t.Context(), it); err != nil {
				t.Error(err)
			}
		})
	}
	awaitWaiting(s, writers)
	release()
	wg.Wait()
	if n := commits(t, s) - before; n != 1 {
		t.Errorf("%d writes took %d transactions, want 1", writers, n)
	}
}

func TestRefusedWritesNeedNoSync(t *testing.T) {
	s := newStore(t)
	before := commits(t, s)
	if err := s.Delete(t.Context(), store.Item{Key: "state/alice"}); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/alice", Rev: 1}); !errors.Is(err, store.ErrConflict) {
		t.Error(err)
	}
	if n := commits(t, s) - before; n != 0 {
		t.Errorf("%d transactions", n)
	}
}

// A writer that gives up while waiting has written nothing; the others go on.
func TestGivingUpWhileWaiting(t *testing.T) {
	s := newStore(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Put(t.Context(), store.Item{Key: "state/patient", Value: []byte("x")}); err != nil {
			t.Error(err)
		}
	})
	var gaveUp error
	given := make(chan struct{})
	go func() {
		defer close(given)
		_, gaveUp = s.Put(ctx, store.Item{Key: "state/hasty", Value: []byte("x")})
	}()
	awaitWaiting(s, 2)
	cancel()
	<-given // while the writer is still held: it did not wait for its turn
	if !errors.Is(gaveUp, context.Canceled) {
		t.Errorf("Put = %v", gaveUp)
	}
	release()
	wg.Wait()
	if _, err := s.Get(t.Context(), "state/hasty"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the withdrawn write is there: %v", err)
	}
	if _, err := s.Get(t.Context(), "state/patient"); err != nil {
		t.Error(err)
	}
}

// When all who waited gave up, those who come next are still served.
func TestAllGaveUp(t *testing.T) {
	s := newStore(t)
	before := commits(t, s)
	for range 50 {
		release := hold(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan struct{})
		go func() {
			defer close(given)
			if _, err := s.Put(ctx, store.Item{Key: "state/hasty"}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()
		awaitWaiting(s, 1)
		cancel()
		<-given
		release()
		it, err := s.Put(t.Context(), store.Item{Key: "state/next"})
		if err != nil || it.Rev == 0 {
			t.Fatalf("Put = %+v, %v", it, err)
		}
		if err := s.Delete(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	if n := commits(t, s) - before; n != 100 {
		t.Errorf("%d transactions for 100 writes", n)
	}
}

// Close carries out what waits.
func TestCloseWithWritesWaiting(t *testing.T) {
	s := newStore(t)
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), store.Item{Key: fmt.Sprintf("state/user%d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	awaitWaiting(s, 8)
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	release()
	wg.Wait()
	keys, err := openStore(t, s.dir).Keys(t.Context(), "state/")
	if err != nil || len(keys) != 8 {
		t.Errorf("kept %q, %v", keys, err)
	}
}

func TestDamagedItem(t *testing.T) {
	s := newStore(t)
	err := s.writer.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("state")).Put([]byte("alice"), []byte("short"))
	})
	if err != nil {
		t.Fatal(err)
	}
	it, err := s.Get(t.Context(), "state/alice")
	wantText(t, err, "state.db:state/alice", "not as mfad wrote it", "mfactl unlock alice")
	if errors.Is(err, store.ErrNotFound) || !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("%v counts as not found", err)
	}
	if _, err = s.Put(t.Context(), store.Item{Key: "state/alice"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put as if nothing were there: %v", err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/bob"}); err != nil {
		t.Error(err)
	}
	// An administrator who means to can replace it.
	it.Value = []byte("new")
	if _, err := s.Put(t.Context(), it); err != nil {
		t.Error(err)
	}
}

func FuzzUnpack(f *testing.F) {
	l := &writer{auth: theKey.Authenticator(purpose)}
	f.Add([]byte("short"))
	f.Add(l.pack([]byte("state"), "alice", 7, []byte("value")))
	f.Fuzz(func(t *testing.T, stored []byte) {
		value, _, err := l.unpack([]byte("state"), "alice", stored)
		if err == nil && !bytes.Equal(l.pack([]byte("state"), "alice", revOf(stored), value), stored) {
			t.Errorf("unpack(%q) = %q", stored, value)
		}
	})
}
