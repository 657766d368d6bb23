package offline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// A far is the store of a fleet in memory, which may be away.
type far struct {
	storetest.Memory
	down atomic.Bool
	fail atomic.Pointer[func(op string) (before, after error)] // called at each write
	hold atomic.Pointer[chan struct{}]                         // a write waits for it, once
	in   chan struct{}                                         // has a value when it does
}

func (f *far) reach(do, key string) error {
	if f.down.Load() {
		return fmt.Errorf("%s %q: %w", do, key, store.ErrUnreachable)
	}
	return nil
}

func (f *far) Get(ctx context.Context, key string) (store.Item, error) {
	if err := f.reach("get", key); err != nil {
		return store.Item{}, err
	}
	it, err := f.Memory.Get(ctx, key)
	if view := store.ViewOf(ctx); view != nil {
		view.Saw(key, it.Rev, true)
	}
	return it, err
}

func (f *far) Put(ctx context.Context, it store.Item) (store.Item, error) {
	if hold := f.hold.Swap(nil); hold != nil {
		f.in <- struct{}{}
		<-*hold
	}
	if err := f.reach("put", it.Key); err != nil {
		return store.Item{}, err
	}
	return failing(f.fail.Load(), "far put", func() (store.Item, error) { return f.Memory.Put(ctx, it) })
}

func (f *far) Confirm(ctx context.Context) error {
	if err := f.reach("confirm", ""); err != nil {
		return err
	}
	for key, seen := range store.ViewOf(ctx).Seen() {
		if it, _ := f.Memory.Get(ctx, key); it.Rev != seen.Rev {
			return store.ErrConflict
		}
	}
	return nil
}

func (f *far) Scan(ctx context.Context, prefix string, fn func(store.Item, error) error) error {
	return store.Each(ctx, &f.Memory, prefix, fn)
}

// failing does do unless the hook fails it before, and loses its result if that fails it after.
func failing(hook *func(string) (error, error), op string, do func() (store.Item, error)) (store.Item, error) {
	if hook == nil {
		return do()
	}
	before, after := (*hook)(op)
	if before != nil {
		return store.Item{}, before
	}
	it, err := do()
	if after != nil {
		return store.Item{}, after
	}
	return it, err
}

// A near is the store of this host in memory.
type near struct {
	storetest.Memory
	fail atomic.Pointer[func(op string) (before, after error)]
}

func (n *near) Put(ctx context.Context, it store.Item) (store.Item, error) {
	return failing(n.fail.Load(), "near put", func() (store.Item, error) { return n.Memory.Put(ctx, it) })
}

func (n *near) Retag(context.Context) error { return nil }
func (n *near) Close() error                { return nil }

// sums are Users whose state is a number, and the marks of what is in it. What is served
// begins with the time when the fleet was heard of.
type sums struct{ t *testing.T }

func (sums) Worth(_ string, enrollment []byte) bool {
	return strings.Contains(string(enrollment), "app")
}

func (sums) Serve(_ string, state []byte, heard time.Time) ([]byte, error) {
	return []byte(heard.UTC().Format(time.TimeOnly) + "|" + bare(state)), nil
}

// bare is a state without what Serve adds.
func bare(state []byte) string {
	if _, rest, is := strings.Cut(string(state), "|"); is {
		return rest
	}
	return string(state)
}

func (u sums) sum(state []byte) int {
	u.t.Helper()
	n, err := strconv.Atoi(strings.Fields(bare(state))[0])
	if err != nil {
		u.t.Errorf("state %q: %v", state, err)
	}
	return n
}

func (u sums) Merge(m Merging) ([]byte, func(), error) {
	return fmt.Appendf(nil, "%d %s", u.sum(m.There)+u.sum(m.Here)-u.sum(m.Base), m.Mark), func() {}, nil
}

func (u sums) Bears(_, mark string, there []byte) (bool, error) {
	return strings.HasSuffix(string(there), " "+mark), nil
}

// A choice is Users that can be exchanged.
type choice struct{ now atomic.Pointer[Users] }

func (c *choice) use(u Users) { c.now.Store(&u) }
func (c *choice) is() Users   { return *c.now.Load() }

func (c *choice) Worth(user string, enrollment []byte) bool { return c.is().Worth(user, enrollment) }

func (c *choice) Serve(user string, state []byte, heard time.Time) ([]byte, error) {
	return c.is().Serve(user, state, heard)
}

func (c *choice) Merge(m Merging) ([]byte, func(), error) { return c.is().Merge(m) }

func (c *choice) Bears(user, mark string, there []byte) (bool, error) {
	return c.is().Bears(user, mark, there)
}

// A rig is a Store under test with what is around it. Its clock stands.
type rig struct {
	*Store
	t     *testing.T
	fleet *far
	host  *near
	dir   string
	key   *seal.Key
	users choice
	at    atomic.Int64 // seconds
	over  bool
}

const lasts = time.Hour

func (r *rig) now() time.Time { return time.Unix(r.at.Load(), 0) }

// newRig returns a rig in which alice has an app and the state 10, and etcd is in reach.
func newRig(t *testing.T) *rig {
	t.Helper()
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, fleet: &far{in: make(chan struct{}, 1)}, host: &near{}, dir: t.TempDir(), key: key}
	r.at.Store(1_900_000_000)
	r.users.use(sums{t})
	r.write("users/alice", "app")
	r.write("state/alice", "10")
	r.open()
	t.Cleanup(r.close)
	r.comes()
	return r
}

// open opens the Store, over what the one before left.
func (r *rig) open() {
	r.t.Helper()
	var err error
	r.Store, err = Open(r.t.Context(), Options{
		Fleet: r.fleet, Here: r.host, Folder: r.dir, Key: r.key, Users: &r.users, For: lasts, Now: r.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.over = false
}

func (r *rig) close() {
	if r.over {
		return
	}
	r.over = true
	_ = r.Close()
}

// crash leaves the Store as a kill does, which notes nothing.
func (r *rig) crash() {
	r.end()
	r.running.Wait()
	r.over = true
}

// comes has etcd come.
func (r *rig) comes() {
	r.t.Helper()
	r.fleet.down.Store(false)
	if err := r.Return(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.Began()
	r.quiet()
}

// quiet waits until all that was heard is written down, and hears of it.
func (r *rig) quiet() {
	r.t.Helper()
	r.await("what was heard is written down", r.kept.isQuiet)
	r.Reached()
}

// await waits until something is so.
func (r *rig) await(what string, is func() bool) {
	r.t.Helper()
	for late := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			r.t.Fatal("it does not come to this: " + what)
		}
	}
}

// goes has etcd go, and the Store know it.
func (r *rig) goes() {
	r.fleet.down.Store(true)
	r.goAway(store.ErrUnreachable)
}

// write writes to the fleet's store as another host does.
func (r *rig) write(key, value string) store.Item {
	r.t.Helper()
	it, err := r.fleet.Memory.Get(r.t.Context(), key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		r.t.Fatal(err)
	}
	it.Key, it.Value = key, []byte(value)
	if it, err = r.fleet.Memory.Put(r.t.Context(), it); err != nil {
		r.t.Fatal(err)
	}
	return it
}

// login has a user log in: add is added to the state.
func (r *rig) login(user string, add int) error {
	ctx := store.WithKept(store.WithView(r.t.Context()))
	if _, err := r.Get(ctx, "users/"+user); err != nil {
		return err
	}
	err := store.Update(ctx, r.Store, "state/"+user, func(old []byte) ([]byte, error) {
		head, _, served := strings.Cut(string(old), "|")
		fields := strings.Fields(bare(old))
		fields[0] = strconv.Itoa(sums{r.t}.sum(old) + add)
		next := strings.Join(fields, " ")
		if served {
			next = head + "|" + next
		}
		return []byte(next), nil
	})
	if err == nil {
		r.LetIn(user)
	}
	return err
}

func (r *rig) mustLogin(user string, add int) {
	r.t.Helper()
	if err := r.login(user, add); err != nil {
		r.t.Fatalf("login of %s: %v", user, err)
	}
}

func (r *rig) mustNotLogin(user, why string) {
	r.t.Helper()
	err := r.login(user, 1)
	if !errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), why) {
		r.t.Errorf("login of %s: %v, want one that says %q", user, err, why)
	}
}

// expect checks the sum that the fleet has of a user.
func (r *rig) expect(user string, want int) {
	r.t.Helper()
	it, err := r.fleet.Memory.Get(r.t.Context(), "state/"+user)
	if got := (sums{r.t}).sum(it.Value); err != nil || got != want {
		r.t.Errorf("the fleet has %q of %s, %v; want %d", it.Value, user, err, want)
	}
}
