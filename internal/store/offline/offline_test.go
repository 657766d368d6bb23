package offline

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/store"
)

// A decision without etcd is on this host, and comes to the fleet.
func TestDecidesWhatIsKept(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 5)
	r.mustLogin("alice", 5)
	r.expect("alice", 11)
	r.write("state/alice", "31") // by another host
	r.comes()
	r.expect("alice", 41)
	r.mustLogin("alice", 1)
	r.expect("alice", 42)
}

// Only a login is decided by what is kept, only of whom is kept, and nobody counts as not enrolled.
func TestRefusesTheRest(t *testing.T) {
	r := newRig(t)
	r.write("users/bob", "app")
	r.write("state/bob", "1")
	r.write("users/carol", "mail")
	r.write("state/carol", "1")
	r.mustLogin("alice", 1)
	r.mustLogin("carol", 1)
	r.quiet()
	r.goes()
	r.mustNotLogin("bob", "not kept")
	r.mustNotLogin("carol", "not kept")
	r.mustNotLogin("nobody", "not kept")
	login := store.WithKept(store.WithView(t.Context()))
	it, err := r.Get(login, "state/alice")
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"get by another": second(r.Get(t.Context(), "state/alice")),
		"get meta":       second(r.Get(login, "meta/x")),
		"put by another": second(r.Put(t.Context(), it)),
		"put users":      second(r.Put(login, store.Item{Key: "users/alice", Rev: it.Rev})),
		"put anew":       second(r.Put(login, store.Item{Key: "meta/x"})),
		"delete":         r.Delete(login, it),
	} {
		if !errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Nothing that was read with etcd is written without, nor the other way round.
func TestRegimesDoNotMix(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	ctx := store.WithKept(store.WithView(t.Context()))
	before, err := r.Get(ctx, "state/alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(ctx, "users/alice"); err != nil {
		t.Fatal(err)
	}
	r.goes()
	if _, err := r.Put(ctx, before); !errors.Is(err, store.ErrConflict) {
		t.Errorf("read with etcd, put without: %v", err)
	}
	if err := r.Confirm(ctx); !errors.Is(err, store.ErrStale) {
		t.Errorf("read with etcd, confirmed without: %v", err)
	}
	during, err := r.Get(ctx, "state/alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Put(ctx, during); !errors.Is(err, store.ErrStale) {
		t.Errorf("the enrollment was read with etcd, put without: %v", err)
	}
	if _, err := r.Get(ctx, "users/alice"); err != nil {
		t.Fatal(err)
	}
	if err := r.Confirm(ctx); err != nil {
		t.Errorf("all was read without etcd: %v", err)
	}
	after, err := r.Put(ctx, during)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Put(ctx, during); !errors.Is(err, store.ErrConflict) {
		t.Errorf("put twice: %v", err)
	}
	r.comes()
	if _, err := r.Put(ctx, after); !errors.Is(err, store.ErrConflict) {
		t.Errorf("read without etcd, put with it: %v", err)
	}
}

// A write of which nobody knows whether it happened is no login, and is not tried here in
// its place.
func TestWritesToEtcdAreNotDecidedHere(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.fleet.fail.Store(new(func(string) (error, error) { return nil, store.ErrUnreachable }))
	if err := r.login("alice", 1); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	if r.Report().Away {
		t.Error("one write without an answer, and etcd counts as away")
	}
}

// A write that is under way when etcd goes may have spent what is typed here meanwhile.
func TestWriteUnderWay(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	hold := make(chan struct{})
	r.fleet.hold.Store(&hold)
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := r.login("alice", 1); err != nil {
			t.Errorf("the login under way: %v", err)
		}
	})
	<-r.fleet.in
	r.goAway(store.ErrUnreachable)
	r.mustNotLogin("alice", "just now")
	close(hold)
	writing.Wait()
	r.goes()
	ctx := store.WithKept(t.Context())
	if it, err := r.Get(ctx, "state/alice"); err != nil || bare(it.Value) != "12" {
		t.Errorf("after it: %q, %v", it.Value, err)
	}
}

// A record that is kept counts for a time after etcd was heard of, and by a clock that can be right.
func TestWhatIsKeptIsTooOld(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.goes()
	r.at.Add(int64(lasts/time.Second) - 1)
	r.mustLogin("alice", 1)
	r.at.Add(1)
	r.mustNotLogin("alice", "offline_for")
	r.at.Add(-2 * int64(lasts/time.Second))
	r.mustNotLogin("alice", "clock")
}

// A daemon that starts without etcd decides by what the one before kept. After a crash etcd
// counts as heard of for a minute more.
func TestStartsWithout(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r := newRig(t)
		r.mustLogin("alice", 1)
		r.quiet()
		r.eachMinute(t.Context())
		r.fleet.down.Store(true)
		heard := r.now()
		if crash {
			r.crash()
			heard = heard.Add(noteEvery + noteLate)
		} else {
			r.close()
		}
		r.at.Add(5)
		r.open()
		it, err := r.Get(store.WithKept(t.Context()), "state/alice")
		if want := heard.UTC().Format(time.TimeOnly) + "|11"; err != nil || string(it.Value) != want {
			t.Errorf("crash %v: %q, %v, want %q", crash, it.Value, err, want)
		}
		r.mustLogin("alice", 5)
		r.comes()
		r.expect("alice", 16)
		r.close()
	}
}

// A host that never was in its fleet has nobody to let in.
func TestNeverOnline(t *testing.T) {
	r := newRig(t)
	r.close()
	r.host = &near{}
	r.fleet.down.Store(true)
	r.open()
	r.mustNotLogin("alice", "never was in its fleet")
}

// News of the watch are kept, and a user who is gone is not.
func TestFollows(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	tell := func(it store.Item, err error) {
		r.Changed(it.Key, func() (store.Item, error) { return it, err })
	}
	tell(r.write("state/alice", "20"), nil)
	old := r.write("users/alice", "app 2")
	tell(r.write("users/alice", "app 3"), nil)
	tell(old, nil) // late
	r.quiet()
	rec, _, err := r.kept.load(t.Context(), "alice")
	if err != nil || string(rec.State) != "20" || string(rec.Enrollment) != "app 3" {
		t.Errorf("kept: %q %q, %v", rec.State, rec.Enrollment, err)
	}
	for what, gone := range map[string]func(){
		"the enrollment is gone": func() { tell(store.Item{Key: "users/alice", Rev: old.Rev + 100}, nil) },
		"the state is gone":      func() { tell(store.Item{Key: "state/alice", Rev: old.Rev + 100}, nil) },
		"it is worth nothing":    func() { tell(r.write("users/alice", "mail"), nil) },
		"it cannot be read":      func() { tell(store.Item{Key: "state/alice"}, store.ErrUnreadable) },
	} {
		r.write("users/alice", "app")
		r.mustLogin("alice", 1)
		r.quiet()
		if !r.kept.has("alice") {
			t.Fatalf("%s: alice was not kept", what)
		}
		gone()
		r.quiet()
		if keys, err := r.host.Keys(t.Context(), "state/"); r.kept.has("alice") || len(keys) > 0 || err != nil {
			t.Errorf("%s: kept %q, %v", what, keys, err)
		}
	}
}

// A watch that begins may have missed something: who is kept is read anew, and until then
// what is kept does not count as true.
func TestWatchMissedSomething(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.write("state/alice", "77")
	r.at.Add(10)
	r.Began()
	r.Reached()
	r.quiet()
	if rec, _, err := r.kept.load(t.Context(), "alice"); err != nil || string(rec.State) != "77" {
		t.Errorf("kept: %q, %v", rec.State, err)
	}
	if !r.contact.trueAt().Equal(r.now()) {
		t.Errorf("true at %v, want %v", r.contact.trueAt(), r.now())
	}
}

// There is a bound, and who was let in last stays.
func TestKeepsSoMany(t *testing.T) {
	r := newRig(t)
	r.kept.most = 2
	for _, user := range []string{"b", "c", "d"} {
		r.write("users/"+user, "app")
		r.write("state/"+user, "1")
	}
	for _, user := range []string{"alice", "b", "c", "d"} {
		r.mustLogin(user, 1)
		r.quiet()
	}
	keys, err := r.host.Keys(t.Context(), "state/")
	if err != nil || len(keys) != 2 || r.kept.count() != 2 || !r.kept.has("d") {
		t.Errorf("kept %q, %v", keys, err)
	}
}

// All that is kept is sealed, each by its own name, and sealed anew with a new key.
func TestSealed(t *testing.T) {
	r := newRig(t)
	r.write("users/bob", "app of bob")
	r.write("state/bob", "1234567")
	r.mustLogin("alice", 1)
	r.mustLogin("bob", 1)
	r.quiet()
	it, err := r.host.Get(t.Context(), "state/bob")
	if err != nil || strings.Contains(string(it.Value), "bob") || strings.Contains(string(it.Value), "1234568") {
		t.Errorf("kept: %q, %v", it.Value, err)
	}
	alice, err := r.host.Get(t.Context(), "state/alice")
	if err != nil {
		t.Fatal(err)
	}
	moved := it
	moved.Value = alice.Value
	if _, err := r.host.Memory.Put(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.kept.load(t.Context(), "bob"); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("one of alice in its place: %v", err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := r.key.Rotate(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Retag(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.key.Forget(path); err != nil {
		t.Fatal(err)
	}
	if rec, _, err := r.kept.load(t.Context(), "alice"); err != nil || string(rec.State) != "11" {
		t.Errorf("with the new key: %q, %v", rec.State, err)
	}
}
