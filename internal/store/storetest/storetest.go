// Package storetest has the tests that every store.Store must pass, and a store in
// memory for the tests of others.
//
// What to know before trusting it: durability is tested across a clean restart
// only. A store has to test power failures itself.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mfa/internal/store"
)

// Run tests a store. Open returns a new, empty one, and closes it when t ends.
// Reopen closes and opens a store as a restart would; nil for a store in memory.
func Run(t *testing.T, open func(t *testing.T) store.Store, reopen func(t *testing.T, s store.Store) store.Store) {
	for _, head := range []string{store.Users, store.States, store.Meta} {
		t.Run(strings.TrimSuffix(head, "/"), func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, store.Store, string){
				"Absent": absent, "Life": life, "Conflict": conflict, "Recreate": recreate,
				"EmptyValue": emptyValue, "BigValue": bigValue, "Names": names, "Slices": slicesApart,
				"Cancelled": cancelled, "OneWinner": oneWinner, "Counter": counter, "Crowd": crowd,
			} {
				t.Run(name, func(t *testing.T) { test(t, open(t), head) })
			}
			if reopen != nil {
				t.Run("Durable", func(t *testing.T) { durable(t, open(t), head, reopen) })
			}
		})
	}
	t.Run("Keys", func(t *testing.T) { keys(t, open(t)) })
	t.Run("BadKeys", func(t *testing.T) { badKeys(t, open(t)) })
}

// absent: what is not there is not found, and cannot be replaced.
func absent(t *testing.T, s store.Store, head string) {
	key := head + "alice"
	_, err := s.Get(t.Context(), key)
	wantError(t, "Get of an absent item", err, store.ErrNotFound)
	wantError(t, "Delete of an absent item", s.Delete(t.Context(), store.Item{Key: key, Rev: 7}), store.ErrNotFound)
	_, err = s.Put(t.Context(), store.Item{Key: key, Value: []byte("x"), Rev: 7})
	wantError(t, "Put over an absent item", err, store.ErrConflict)
}

// life: made, read, replaced, deleted.
func life(t *testing.T, s store.Store, head string) {
	it := put(t, s, store.Item{Key: head + "alice", Value: []byte("one")})
	if it.Key != head+"alice" || string(it.Value) != "one" || it.Rev == 0 {
		t.Errorf("Put returned %+v", it)
	}
	wantStored(t, s, it)
	it.Value = []byte("two")
	it = put(t, s, it)
	wantStored(t, s, it)
	if err := s.Delete(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), it.Key)
	wantError(t, "Get after Delete", err, store.ErrNotFound)
	wantError(t, "second Delete", s.Delete(t.Context(), it), store.ErrNotFound)
}

// conflict: a revision that is not the stored one changes nothing.
func conflict(t *testing.T, s store.Store, head string) {
	first := put(t, s, store.Item{Key: head + "alice", Value: []byte("one")})
	second := put(t, s, store.Item{Key: first.Key, Value: []byte("two"), Rev: first.Rev})
	if first.Rev == second.Rev {
		t.Fatal("two contents have one revision")
	}
	for _, rev := range []uint64{0, first.Rev, second.Rev + 1} {
		it := store.Item{Key: first.Key, Value: []byte("three"), Rev: rev}
		_, err := s.Put(t.Context(), it)
		wantError(t, "Put with a wrong revision", err, store.ErrConflict)
		wantError(t, "Delete with a wrong revision", s.Delete(t.Context(), it), store.ErrConflict)
		wantStored(t, s, second)
	}
}

// recreate: the revision of an item that was deleted does not fit a new one.
func recreate(t *testing.T, s store.Store, head string) {
	old := put(t, s, store.Item{Key: head + "alice", Value: []byte("one")})
	if err := s.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	again := put(t, s, store.Item{Key: old.Key, Value: []byte("two")})
	_, err := s.Put(t.Context(), store.Item{Key: old.Key, Value: []byte("three"), Rev: old.Rev})
	wantError(t, "Put with the revision of a deleted item", err, store.ErrConflict)
	wantStored(t, s, again)
}

// emptyValue: an item without content is there all the same.
func emptyValue(t *testing.T, s store.Store, head string) {
	for i, value := range [][]byte{nil, {}} {
		it := put(t, s, store.Item{Key: head + strconv.Itoa(i), Value: value})
		if it.Rev == 0 {
			t.Error("the revision of an empty item is zero")
		}
		wantStored(t, s, it)
	}
}

// bigValue: 60 KiB of every byte.
func bigValue(t *testing.T, s store.Store, head string) {
	value := make([]byte, 60<<10)
	for i := range value {
		value[i] = byte(i)
	}
	wantStored(t, s, put(t, s, store.Item{Key: head + "alice", Value: value}))
}

// awkward are names that a store must keep apart and give back as they are.
var awkward = []string{
	"alice", "Alice", "ALICE", "alice.toml", "alice~", ".alice", "-alice", ".", "..", "../alice",
	"a/b", "a/../b", "a%2fb", "a%2Fb", "%", "%%", "%4", "a b", " alice", "alice ", "a\nb", "a\x00b", "\x7f",
	`DOMAIN\alice`, "alice@example.com", "älice", "a\u0308lice", "\xff\xfe", "a+b", "a$", "#a#", "*", "state", "users/x",
	strings.Repeat("n", 200),
}

// names: whatever a user is called, it is one item of its own.
func names(t *testing.T, s store.Store, head string) {
	var want []string
	items := map[string]store.Item{}
	for _, name := range awkward {
		want = append(want, head+name)
		items[name] = put(t, s, store.Item{Key: head + name, Value: []byte(name)})
	}
	for _, name := range awkward {
		wantStored(t, s, items[name])
	}
	slices.Sort(want)
	got, err := s.Keys(t.Context(), head)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Keys = %q, %v\nwant   %q", got, err, want)
	}
}

// slicesApart: what the caller does with its slices does not reach the store.
func slicesApart(t *testing.T, s store.Store, head string) {
	// Databases treat a handful of bytes differently from pages full of them.
	put(t, s, store.Item{Key: head + "bob", Value: make([]byte, 16<<10)})
	mine := []byte("one")
	it := put(t, s, store.Item{Key: head + "alice", Value: mine})
	copy(mine, "ZZZ")
	want := store.Item{Key: it.Key, Value: []byte("one"), Rev: it.Rev}
	got := wantStored(t, s, want)
	copy(got.Value, "YYY")
	wantStored(t, s, want)
}

// cancelled: with a context that has ended nothing is read and nothing written.
func cancelled(t *testing.T, s store.Store, head string) {
	kept := put(t, s, store.Item{Key: head + "alice", Value: []byte("one")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, kept.Key)
	wantError(t, "Get", err, context.Canceled)
	_, err = s.Put(ctx, store.Item{Key: kept.Key, Value: []byte("two"), Rev: kept.Rev})
	wantError(t, "Put", err, context.Canceled)
	_, err = s.Put(ctx, store.Item{Key: head + "bob", Value: []byte("two")})
	wantError(t, "Put", err, context.Canceled)
	wantError(t, "Delete", s.Delete(ctx, kept), context.Canceled)
	_, err = s.Keys(ctx, head)
	wantError(t, "Keys", err, context.Canceled)
	wantStored(t, s, kept)
	_, err = s.Get(t.Context(), head+"bob")
	wantError(t, "Get of what was not put", err, store.ErrNotFound)
}

// crowdSize is how many goroutines the tests below run at once.
const crowdSize = 64

// oneWinner: of many writes over one revision exactly one goes through.
func oneWinner(t *testing.T, s store.Store, head string) {
	var it store.Item
	for round := range 3 {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range crowdSize {
			wg.Go(func() {
				value := fmt.Appendf(nil, "%d by %d", round, i)
				_, err := s.Put(t.Context(), store.Item{Key: head + "alice", Value: value, Rev: it.Rev})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d writes went through", round, won.Load())
		}
		var err error
		if it, err = s.Get(t.Context(), head+"alice"); err != nil {
			t.Fatal(err)
		}
	}
}

// counter: no increment by Update is lost, however many come at once.
func counter(t *testing.T, s store.Store, head string) {
	const each = 2
	increment := func(old []byte) ([]byte, error) {
		n, _ := strconv.Atoi(string(old))
		return strconv.AppendInt(nil, int64(n+1), 10), nil
	}
	var wg sync.WaitGroup
	for range crowdSize {
		wg.Go(func() {
			for range each {
				if err := store.Update(t.Context(), s, head+"alice", increment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	it, err := s.Get(t.Context(), head+"alice")
	if want := strconv.Itoa(crowdSize * each); err != nil || string(it.Value) != want {
		t.Errorf("counter = %q, %v; want %s", it.Value, err, want)
	}
}

// crowd: writers of different items do not disturb each other, even when
// others among them fail.
func crowd(t *testing.T, s store.Store, head string) {
	old := put(t, s, store.Item{Key: head + "old", Value: []byte("one")})
	var wg sync.WaitGroup
	for i := range crowdSize {
		wg.Go(func() {
			it := store.Item{Key: fmt.Sprintf("%suser%d", head, i), Value: []byte("x")}
			if _, err := s.Put(t.Context(), it); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			_, err := s.Put(t.Context(), store.Item{Key: old.Key, Value: []byte("two")})
			wantError(t, "Put of an item that is there", err, store.ErrConflict)
		})
	}
	wg.Wait()
	got, err := s.Keys(t.Context(), head)
	if err != nil || len(got) != crowdSize+1 {
		t.Errorf("%d keys, %v; want %d", len(got), err, crowdSize+1)
	}
	wantStored(t, s, old)
}

// durable: what was written and deleted stays so after a restart, and what a
// caller knew before the restart still counts.
func durable(t *testing.T, s store.Store, head string, reopen func(t *testing.T, s store.Store) store.Store) {
	kept := put(t, s, store.Item{Key: head + "kept", Value: []byte("one")})
	gone := put(t, s, store.Item{Key: head + "gone", Value: []byte("one")})
	if err := s.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	wantStored(t, s, kept)
	_, err := s.Get(t.Context(), gone.Key)
	wantError(t, "Get of what was deleted", err, store.ErrNotFound)
	again := put(t, s, store.Item{Key: gone.Key, Value: []byte("two")})
	if again.Rev == gone.Rev {
		t.Error("a revision came back after the restart")
	}
	kept.Value = []byte("two")
	put(t, s, kept)
}

// keys: sorted, by prefix, the spaces apart.
func keys(t *testing.T, s store.Store) {
	all := []string{"meta/x", "state/alice", "state/bob", "users/al", "users/alice", "users/bob"}
	for _, key := range slices.Backward(all) {
		put(t, s, store.Item{Key: key, Value: []byte(key)})
	}
	for prefix, want := range map[string][]string{
		"":             all,
		"users/":       all[3:],
		"users":        all[3:],
		"users/al":     all[3:5],
		"users/alice":  all[4:5],
		"users/alice/": nil,
		"state/":       all[1:3],
		"state/b":      all[2:3],
		"nothing/":     nil,
	} {
		got, err := s.Keys(t.Context(), prefix)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Keys(%q) = %q, %v; want %q", prefix, got, err, want)
		}
	}
}

// badKeys: what is no key is refused, and is not merely absent.
func badKeys(t *testing.T, s store.Store) {
	for _, key := range []string{"", "users", "users/", "state/", "alice", "/alice", "other/alice", "../users/alice"} {
		if _, err := s.Get(t.Context(), key); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%q) = %v", key, err)
		}
		if _, err := s.Put(t.Context(), store.Item{Key: key, Value: []byte("x")}); err == nil {
			t.Errorf("Put(%q) went through", key)
		}
	}
}

// put puts it, or ends the test.
func put(t *testing.T, s store.Store, it store.Item) store.Item {
	t.Helper()
	it, err := s.Put(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// wantStored checks that s holds want, and returns what it holds.
func wantStored(t *testing.T, s store.Store, want store.Item) store.Item {
	t.Helper()
	got, err := s.Get(t.Context(), want.Key)
	if err != nil {
		t.Fatal(err)
	}
	if got.Key != want.Key || got.Rev != want.Rev || !bytes.Equal(got.Value, want.Value) {
		t.Fatalf("stored %.80q, want %.80q", fmt.Sprint(got), fmt.Sprint(want))
	}
	return got
}

// wantError checks that err wraps want.
func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
