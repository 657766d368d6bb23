package etcd

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// counted is Options that count the questions of the client.
func counted(opts Options) (Options, *atomic.Int64) {
	var n atomic.Int64
	opts.dial = append(opts.dial, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if strings.Contains(method, "etcdserverpb.KV/") {
			n.Add(1)
		}
		return invoke(ctx, method, req, reply, cc, o...)
	}))
	return opts, &n
}

// awaitWatch waits until the watch of s is there.
func awaitWatch(t testing.TB, s *Store) {
	t.Helper()
	eventually(t, "a watch", func() bool { return s.cache.progress() > 0 })
}

// two are two hosts with one store, and the number of questions of the first.
func two(t *testing.T) (a, b *Store, asked *atomic.Int64) {
	t.Helper()
	c := etcdtest.Start(t, 1)
	cfg, opts := config(c), with(newKey(t))
	first, asked := counted(opts)
	a, b = open(t, cfg, first), open(t, cfg, opts)
	awaitWatch(t, a)
	awaitWatch(t, b)
	return a, b, asked
}

// set is an fn of Update.
func set(value string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(value), nil }
}

// read is an fn of Update that writes nothing, and refuses with err.
func read(into *string, err error) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { *into = string(old); return old, err }
}

func expectAsked(t *testing.T, asked *atomic.Int64, want int64, what string) {
	t.Helper()
	if n := asked.Swap(0); n != want {
		t.Errorf("%s: %d questions, want %d", what, n, want)
	}
}

func update(t *testing.T, s *Store, key string, fn func([]byte) ([]byte, error)) {
	t.Helper()
	if err := store.Update(t.Context(), s, key, fn); err != nil {
		t.Fatal(err)
	}
}

// One question for what is known, two for what is not or was old.
func TestQuestions(t *testing.T) {
	a, b, asked := two(t)
	asked.Store(0)
	update(t, a, "state/alice", set("1"))
	expectAsked(t, asked, 2, "an unknown user: read and write")
	update(t, a, "state/alice", set("2"))
	expectAsked(t, asked, 1, "a known one")
	var got string
	update(t, a, "state/alice", read(&got, nil))
	expectAsked(t, asked, 1, "nothing written: is it so?")
	refused := errors.New("refused")
	if err := store.Update(t.Context(), a, "state/alice", read(&got, refused)); !errors.Is(err, refused) || got != "2" {
		t.Errorf("%q, %v", got, err)
	}
	expectAsked(t, asked, 1, "refused: is it so?")
	update(t, b, "state/alice", set("3"))
	update(t, a, "state/alice", func(old []byte) ([]byte, error) { return append(old, "4"...), nil })
	if n := asked.Swap(0); n > 2 {
		t.Errorf("old in memory: %d questions, want at most 2", n)
	}
	it, err := b.Get(t.Context(), "state/alice")
	if err != nil || string(it.Value) != "34" {
		t.Errorf("%q, %v", it.Value, err)
	}
}

// stop keeps the watch of s from telling anything, as a connection that hangs would.
func stop(t *testing.T, s *Store) {
	t.Helper()
	s.endWatch()
	s.watching.Wait()
	s.cache.begin(s.past.newest()) // as if there were one
}

// Old memory decides nothing: neither a write, nor a refusal, nor leaving all as
// it is; and not what was read beside it.
func TestOldMemoryDecidesNothing(t *testing.T) {
	a, b, _ := two(t)
	update(t, a, "state/alice", set("unlocked"))
	update(t, a, "users/alice", set("old app"))
	stop(t, a)
	know := func(key string) { // puts it into the memory of a
		t.Helper()
		if _, err := a.Get(store.WithView(t.Context()), key); err != nil {
			t.Fatal(err)
		}
	}
	know("state/alice")
	know("users/alice")

	var got string
	refused := errors.New("refused")
	for i, err := range []error{nil, refused} {
		update(t, b, "state/alice", set(strconv.Itoa(i)))
		if is := store.Update(t.Context(), a, "state/alice", read(&got, err)); !errors.Is(is, err) || got != strconv.Itoa(i) {
			t.Errorf("%q, %v; want %d, %v", got, is, i, err)
		}
	}

	ctx := store.WithView(t.Context())
	it, err := a.Get(ctx, "users/alice")
	if err != nil || string(it.Value) != "old app" {
		t.Fatalf("%q, %v", it.Value, err)
	}
	update(t, b, "users/alice", set("new app"))
	// fn reads it once more, as challenge does: it sees the new one before anything counts.
	var saw []string
	err = store.Update(ctx, a, "state/alice", func(old []byte) ([]byte, error) {
		it, err := a.Get(ctx, "users/alice")
		saw = append(saw, string(it.Value))
		return append(old, "+"...), err
	})
	if err != nil || len(saw) != 2 || saw[0] != "old app" || saw[1] != "new app" {
		t.Errorf("saw %q, %v", saw, err)
	}

	// One that does not read it again must not decide by it.
	ctx = store.WithView(t.Context())
	if _, err := a.Get(ctx, "users/alice"); err != nil {
		t.Fatal(err)
	}
	update(t, b, "users/alice", set("newest app"))
	if err := store.Update(ctx, a, "state/alice", set("let in")); !errors.Is(err, store.ErrStale) {
		t.Errorf("decided by what is old: %v", err)
	}
	if it, err := b.Get(t.Context(), "state/alice"); err != nil || string(it.Value) == "let in" {
		t.Errorf("%q, %v", it.Value, err)
	}
	if err := a.Confirm(ctx); !errors.Is(err, store.ErrStale) {
		t.Errorf("confirmed: %v", err)
	}
	if it, err := a.Get(ctx, "users/alice"); err != nil || string(it.Value) != "newest app" {
		t.Errorf("%q, %v", it.Value, err)
	}
	if err := a.Confirm(ctx); err != nil {
		t.Errorf("not confirmed: %v", err)
	}
}

// That there is nothing is remembered, and confirmed, too.
func TestAbsenceIsConfirmed(t *testing.T) {
	a, b, asked := two(t)
	ctx := store.WithView(t.Context())
	for range 2 {
		if _, err := a.Get(ctx, "state/bob"); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	asked.Store(0)
	if err := a.Confirm(ctx); err != nil {
		t.Error(err)
	}
	expectAsked(t, asked, 1, "absence")
	if _, err := a.Get(ctx, "state/bob"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	stop(t, a)
	if _, err := a.Get(ctx, "state/carol"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := a.Get(ctx, "state/carol"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	update(t, b, "state/carol", set("x"))
	if err := a.Confirm(ctx); !errors.Is(err, store.ErrConflict) {
		t.Errorf("absence confirmed: %v", err)
	}
}

// Without a View nothing comes from memory.
func TestNoViewNoMemory(t *testing.T) {
	a, b, _ := two(t)
	update(t, a, "state/alice", set("1"))
	stop(t, a)
	if _, err := a.Get(store.WithView(t.Context()), "state/alice"); err != nil {
		t.Fatal(err)
	}
	update(t, b, "state/alice", set("2"))
	for _, ctx := range []context.Context{t.Context(), store.WithoutView(store.WithView(t.Context()))} {
		if it, err := a.Get(ctx, "state/alice"); err != nil || string(it.Value) != "2" {
			t.Errorf("%q, %v", it.Value, err)
		}
	}
}
