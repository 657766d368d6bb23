package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// count adds one to the number at key, and returns whether it is known to be done.
func count(ctx context.Context, s *Store, key string) error {
	return store.Update(ctx, s, key, func(old []byte) ([]byte, error) {
		n, _ := strconv.Atoi(string(old))
		return strconv.AppendInt(nil, int64(n+1), 10), nil
	})
}

// While the leader dies under writers, each write that was reported done is there, and
// none is there twice: the number is at least what was reported, and at most what was
// tried. Soon after, all goes on.
func TestLeaderDies(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg, opts := config(c), with(newKey(t))
	cfg.Timeout = mfa.Duration(2 * time.Second)
	a, b := open(t, cfg, opts), open(t, cfg, opts)
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	done, unknown := 0, 0
	var group sync.WaitGroup
	for _, s := range []*Store{a, b, a, b} {
		group.Go(func() {
			for ctx.Err() == nil {
				err := count(t.Context(), s, "state/alice")
				mu.Lock()
				if err == nil {
					done++
				} else if unknown++; !errors.Is(err, store.ErrUnreachable) {
					t.Errorf("count: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	reached := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return done >= n }
	}
	eventually(t, "writes", reached(20))
	c.Leader(t).Kill()
	died := time.Now()
	mu.Lock()
	before := done
	mu.Unlock()
	eventually(t, "writes by those that are left", reached(before+20))
	t.Logf("went on after %v", time.Since(died))
	stop()
	group.Wait()
	it, err := b.Get(t.Context(), "state/alice")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := strconv.Atoi(string(it.Value)); n < done || n > done+unknown {
		t.Errorf("the number is %d, where %d were reported done and %d are unknown", n, done, unknown)
	}
}

// A write whose answer does not come fails in time. Once etcd is back it is found out
// whether it happened, and nothing is done twice.
func TestOutcomeUnknown(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg := config(c)
	cfg.Timeout = mfa.Duration(300 * time.Millisecond)
	opts, asked := counted(with(newKey(t)))
	s := open(t, cfg, opts)
	awaitWatch(t, s)
	if err := count(t.Context(), s, "state/alice"); err != nil {
		t.Fatal(err)
	}
	c.Members[0].Pause()
	asked.Store(0)
	began := time.Now()
	err := count(t.Context(), s, "state/alice")
	if took := time.Since(began); !errors.Is(err, store.ErrUnreachable) || !strings.Contains(err.Error(), "not known whether") || took > 10*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	expectAsked(t, asked, 1, "a write that gets no answer")
	c.Members[0].Resume()
	// Whether the one before happened or not, this one builds upon it.
	eventually(t, "write", func() bool { return count(t.Context(), s, "state/alice") == nil })
	it, err := s.Get(t.Context(), "state/alice")
	if n, _ := strconv.Atoi(string(it.Value)); err != nil || n < 2 || n > 3 {
		t.Errorf("%q, %v; want 2 or 3", it.Value, err)
	}
}

// A watch whose place was compacted begins anew, and memory is right again.
func TestWatchCompacted(t *testing.T) {
	a, b, asked := two(t)
	update(t, a, "state/alice", set("1"))
	a.endWatch()
	a.watching.Wait()
	for i := range 10 {
		update(t, b, "state/alice", set(fmt.Sprint(i)))
	}
	if _, err := b.client.Compact(t.Context(), b.past.newest()); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	a.endWatch = end
	a.watching.Go(func() { a.watch(ctx) })
	awaitWatch(t, a)
	view := store.WithView(t.Context())
	if it, err := a.Get(view, "state/alice"); err != nil || string(it.Value) != "9" {
		t.Errorf("%q, %v", it.Value, err)
	}
	update(t, b, "state/alice", set("x"))
	eventually(t, "event", func() bool {
		it, err := a.Get(view, "state/alice")
		return err == nil && string(it.Value) == "x"
	})
	asked.Store(0)
	update(t, a, "state/alice", set("y"))
	expectAsked(t, asked, 1, "with what the watch told")
}

// A member that hangs, and one that comes back, end no watch for long: what others write
// arrives.
func TestWatchCut(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg, opts := config(c), with(newKey(t))
	a, b := open(t, cfg, opts), open(t, cfg, opts)
	awaitWatch(t, a)
	update(t, a, "state/alice", set("1"))
	c.Members[0].Kill()
	c.Members[0].Start(t)
	c.AwaitHealthy(t)
	eventually(t, "write", func() bool { return store.Update(t.Context(), b, "state/alice", set("2")) == nil })
	eventually(t, "event", func() bool {
		it, known := a.cache.get("state/alice")
		if !known {
			_, _ = a.Get(store.WithView(t.Context()), "state/alice")
			return false
		}
		got, err := a.open(it)
		return err == nil && string(got.Value) == "2"
	})
}

// The memory of a cache is bounded, and the least recently used goes first.
func TestCacheIsBounded(t *testing.T) {
	c := newCache(100 << 10)
	c.begin(1)
	value := make([]byte, 1000)
	for i := range 1000 {
		c.put(sighting{key: fmt.Sprint("state/", i), rev: 5, sealed: value, asOf: 5})
		c.get("state/0")
	}
	if c.used > c.most || len(c.items) > 100 || c.order.Len() != len(c.items) {
		t.Errorf("%d bytes in %d items", c.used, len(c.items))
	}
	if _, known := c.get("state/0"); !known {
		t.Error("what is used all the time was dropped")
	}
	if _, known := c.get("state/1"); known {
		t.Error("what was never used is there")
	}
	c.changed(sighting{key: "state/999", rev: 6, sealed: make([]byte, 200<<10), asOf: 6})
	if c.used > c.most {
		t.Errorf("%d bytes after an event", c.used)
	}
	c.end()
	c.put(sighting{key: "state/0", asOf: 9})
	if c.used != 0 || len(c.items) != 0 {
		t.Error("something is kept without a watch")
	}
}

// An answer that is older than an event of its key does not hide that event.
func TestCacheTakesNothingOld(t *testing.T) {
	c := newCache(1 << 20)
	c.begin(10)
	c.changed(sighting{key: "state/a", rev: 12, asOf: 12})
	c.put(sighting{key: "state/a", rev: 8, asOf: 11})
	if _, known := c.get("state/a"); known {
		t.Error("an old answer was taken in")
	}
	c.put(sighting{key: "state/b", rev: 8, asOf: 11})
	if _, known := c.get("state/b"); !known {
		t.Error("an answer to another key was not")
	}
	for i := range lastEvents + 1 {
		c.changed(sighting{key: "state/x", rev: 20, asOf: int64(20 + i)})
	}
	c.put(sighting{key: "state/c", rev: 8, asOf: 15})
	if _, known := c.get("state/c"); known {
		t.Error("an answer was taken in though events since are not remembered")
	}
	c.put(sighting{key: "state/b", rev: 7, asOf: 9})
	if seen, _ := c.get("state/b"); seen.rev != 8 {
		t.Error("an older answer replaced a newer one")
	}
	c.put(sighting{key: "state/d", rev: 2, asOf: 9})
	if _, known := c.get("state/d"); known {
		t.Error("an answer from before the watch was taken in")
	}
}

// A quota that is reached is told with what to do, and reading goes on.
func TestNoSpace(t *testing.T) {
	c := etcdtest.Start(t, 1, "--quota-backend-bytes", "2097152")
	s := open(t, config(c), with(newKey(t)))
	put(t, s, store.Item{Key: "users/alice", Value: []byte("x")})
	var err error
	for i := 0; err == nil && i < 200; i++ {
		_, err = s.Put(t.Context(), store.Item{Key: fmt.Sprint("state/", i), Value: make([]byte, 200<<10)})
	}
	if err == nil || !strings.Contains(err.Error(), "etcdctl alarm disarm") {
		t.Errorf("put: %v", err)
	}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "quota") {
		t.Errorf("check: %v", err)
	}
	if it, err := s.Get(t.Context(), "users/alice"); err != nil || string(it.Value) != "x" {
		t.Errorf("%q, %v", it.Value, err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/big", Value: make([]byte, maxValue+1)}); err == nil || !strings.Contains(err.Error(), "etcd takes") {
		t.Errorf("too big: %v", err)
	}
}

// Etcd that went back in time is not believed any more.
func TestRestoredCopy(t *testing.T) {
	a, _, _ := two(t)
	update(t, a, "state/alice", set("used"))
	a.past.rev.Add(1000) // as if etcd had been that far
	for range 2 {
		_, err := a.Get(t.Context(), "state/alice")
		if err == nil || !strings.Contains(err.Error(), "went back") {
			t.Errorf("get: %v", err)
		}
	}
	if err := a.Check(t.Context()); err == nil {
		t.Error("nothing is wrong with it")
	}
}

// Keys come page by page, and all of them.
func TestManyKeys(t *testing.T) {
	c := etcdtest.Start(t, 1)
	s := open(t, config(c), with(newKey(t)))
	const many = 2*pageOfKeys + 7
	for i := 0; i < many; i += 100 {
		var ops []clientv3.Op
		for j := i; j < min(many, i+100); j++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%susers/%05d", s.prefix, j), ""))
		}
		if _, err := s.client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := s.Keys(t.Context(), "users/")
	if err != nil || len(keys) != many || keys[0] != "users/00000" || keys[many-1] != fmt.Sprintf("users/%05d", many-1) {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// With one of three members hanging, and with one of them alone, reads go on; with two of
// three hanging nothing is decided.
func TestMinority(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg := config(c)
	cfg.Timeout = mfa.Duration(3 * time.Second)
	s := open(t, cfg, with(newKey(t)))
	update(t, s, "state/alice", set("1"))
	c.Members[0].Pause()
	for range 6 {
		if it, err := s.Get(t.Context(), "state/alice"); err != nil || string(it.Value) != "1" {
			t.Errorf("one hangs: %q, %v", it.Value, err)
		}
	}
	c.Members[1].Pause()
	if it, err := s.Get(t.Context(), "state/alice"); err == nil {
		t.Errorf("two hang: %q", it.Value)
	}
	if err := store.Update(t.Context(), s, "state/alice", set("2")); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("two hang: %v", err)
	}
	c.Members[0].Resume()
	c.Members[1].Resume()
	eventually(t, "write", func() bool { return store.Update(t.Context(), s, "state/alice", set("3")) == nil })
}

// Two members dead: the third refuses soon that it has no leader.
func TestNoLeader(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg := config(c)
	cfg.Endpoints = cfg.Endpoints[:1]
	cfg.Timeout = mfa.Duration(time.Second)
	s := open(t, cfg, with(newKey(t)))
	c.Members[1].Kill()
	c.Members[2].Kill()
	eventually(t, "word of the leader", func() bool {
		err := store.Update(t.Context(), s, "state/alice", set("1"))
		if err == nil {
			t.Fatal("a minority wrote")
		}
		return strings.Contains(err.Error(), "it has no leader now")
	})
}
