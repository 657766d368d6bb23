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

// commits returns how many batches the store has written to its log, each a sync, and how
// many transactions its database has had.
func commits(t testing.TB, s *Store) (batches, transactions int) {
	t.Helper()
	if err := s.ledger.db.View(func(tx *bolt.Tx) error { transactions = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	if s.ledger.log != nil {
		batches = int(s.ledger.log.Next().Seq) - 1
	}
	return batches, transactions
}

// hold keeps all from writing until the returned function is called.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	held, released := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- s.ledger.alone(t.Context(), func() error {
			close(held)
			<-released
			return nil
		})
	}()
	<-held
	return func() {
		close(released)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// awaitWaiting returns when n writes wait.
func awaitWaiting(s *Store, n int) {
	for {
		s.ledger.queue.mu.Lock()
		waiting := len(s.ledger.queue.waiting)
		s.ledger.queue.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func TestManyWaitingWritesShareOneSync(t *testing.T) {
	const writers = 64
	s := newStore(t)
	before, _ := commits(t, s)
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
	if after, _ := commits(t, s); after-before != 1 {
		t.Errorf("%d writes took %d batches, want 1", writers, after-before)
	}
}

func TestRefusedWritesNeedNoSync(t *testing.T) {
	s := newStore(t)
	before, _ := commits(t, s)
	if err := s.Delete(t.Context(), store.Item{Key: "state/alice"}); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/alice", Rev: 1}); !errors.Is(err, store.ErrConflict) {
		t.Error(err)
	}
	if after, _ := commits(t, s); after != before {
		t.Errorf("%d batches", after-before)
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
	before, _ := commits(t, s)
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
	if after, _ := commits(t, s); after-before != 100 {
		t.Errorf("%d batches for 100 writes", after-before)
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
	err := s.ledger.db.Update(func(tx *bolt.Tx) error {
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
	l := &ledger{auth: theKey.Authenticator(purpose)}
	f.Add([]byte("short"))
	f.Add(l.pack([]byte("state"), "alice", 7, []byte("value")))
	f.Fuzz(func(t *testing.T, stored []byte) {
		value, _, err := l.unpack([]byte("state"), "alice", stored)
		if err == nil && !bytes.Equal(l.pack([]byte("state"), "alice", revOf(stored), value), stored) {
			t.Errorf("unpack(%q) = %q", stored, value)
		}
	})
}
