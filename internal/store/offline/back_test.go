package offline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"mfa/internal/store"
)

var errKilled = errors.New("killed")

// However a merge is cut short, what was decided here is in the fleet's store once. Each write
// of it is lost before it is done, and after; and then the daemon is killed, or goes on, with
// another login that is decided here or without.
func TestMergesOnce(t *testing.T) {
	for _, kill := range []bool{true, false} {
		for _, another := range []int{0, 1000} {
			for n := 0; ; n++ {
				if !mergesOnce(t, kill, another, n) {
					break
				}
			}
		}
	}
}

// mergesOnce has the write n fail; even: before it is done. It returns false if there is none.
func mergesOnce(t *testing.T, kill bool, another, n int) (failed bool) {
	r := newRig(t)
	defer r.close()
	r.mustLogin("alice", 1)
	r.quiet()
	r.note(t.Context())
	r.goes()
	r.mustLogin("alice", 10)
	r.mustLogin("alice", 10)
	r.write("state/alice", "111") // by another host
	count := 0
	hook := func(op string) (before, after error) {
		count++
		switch {
		case count-1 != n/2:
			return nil, nil
		case op == "far put":
			err := fmt.Errorf("%s: %w", op, store.ErrUnreachable)
			failed = true
			r.fleet.down.Store(true)
			if n%2 == 0 {
				return err, nil
			}
			return nil, err
		}
		failed = true
		if n%2 == 0 {
			return errKilled, nil
		}
		return nil, errKilled
	}
	r.fleet.fail.Store(&hook)
	r.host.fail.Store(&hook)
	r.fleet.down.Store(false)
	_ = r.Return(t.Context())
	r.fleet.fail.Store(nil)
	r.host.fail.Store(nil)
	if kill {
		r.crash()
		r.fleet.down.Store(true)
		r.open()
	}
	want := 131
	if another > 0 && r.Report().Away {
		r.mustLogin("alice", another)
		want += another
	}
	r.comes()
	if err := r.Return(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.eachMinute(t.Context())
	t.Logf("write %d, killed %v, another %d: failed %v", n, kill, another, failed)
	r.expect("alice", want)
	if left := r.kept.toMerge(true); len(left) > 0 {
		t.Errorf("not merged: %q", left)
	}
	return failed
}

// A login that is decided while the merge is under way is merged, too.
func TestMergeGoesOnWithLogins(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	hold := make(chan struct{})
	r.fleet.hold.Store(&hold)
	r.fleet.down.Store(false)
	back := make(chan error)
	go func() { back <- r.Return(t.Context()) }()
	<-r.fleet.in
	r.mustLogin("alice", 100)
	close(hold)
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	r.expect("alice", 121)
	r.mustLogin("alice", 1000)
	r.expect("alice", 1121)
}

// One user whose record nobody can merge does not keep the others, and is not let in before it is.
func TestOneIsStuck(t *testing.T) {
	r := newRig(t)
	r.write("users/bob", "app")
	r.write("state/bob", "1")
	r.mustLogin("alice", 1)
	r.mustLogin("bob", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	r.mustLogin("bob", 10)
	users := r.users.is()
	r.users.use(broken{users})
	r.comes()
	r.expect("alice", 21)
	r.expect("bob", 2)
	r.mustLogin("alice", 1)
	r.mustNotLogin("bob", "not merged yet")
	if _, err := r.Get(t.Context(), "state/bob"); err != nil {
		t.Errorf("read by an administrator: %v", err)
	}
	r.users.use(users)
	r.eachMinute(t.Context())
	r.expect("bob", 12)
	r.mustLogin("bob", 1)
	r.expect("bob", 13)
}

// broken merges nothing of bob.
type broken struct{ Users }

func (b broken) Merge(m Merging) ([]byte, func(), error) {
	if m.User == "bob" {
		return nil, nil, errors.New("broken")
	}
	return b.Users.Merge(m)
}

// A decision about a user who is gone meanwhile goes, too.
func TestMergesNobody(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	for _, key := range []string{"users/alice", "state/alice"} {
		it, err := r.fleet.Memory.Get(t.Context(), key)
		if err == nil {
			err = r.fleet.Delete(context.Background(), it)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.comes()
	if keys, err := r.fleet.Keys(t.Context(), ""); len(keys) > 0 || err != nil || r.kept.has("alice") {
		t.Errorf("%q, %v", keys, err)
	}
}

// Etcd that goes for a moment in the merge keeps the host away.
func TestGoesAgainInTheMerge(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	r.fleet.down.Store(false)
	r.fleet.fail.Store(new(func(string) (error, error) { return store.ErrUnreachable, nil }))
	if err := r.Return(t.Context()); !errors.Is(err, store.ErrUnreachable) || !r.Report().Away {
		t.Errorf("return: %v", err)
	}
	r.mustLogin("alice", 100)
	r.fleet.fail.Store(nil)
	r.comes()
	r.expect("alice", 121)
}

// meddling has somebody log in once while a merge is written down.
type meddling struct {
	Users
	login func()
}

func (m *meddling) Merge(merge Merging) ([]byte, func(), error) {
	merged, _, err := m.Users.Merge(merge)
	login := m.login
	m.login = func() {}
	return merged, login, err
}

// A user who logs in for the first time without etcd while others are merged is merged, too,
// before etcd decides.
func TestMergesWhoComesLast(t *testing.T) {
	r := newRig(t)
	r.write("users/bob", "app")
	r.write("state/bob", "1")
	r.mustLogin("alice", 1)
	r.mustLogin("bob", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	r.users.use(&meddling{r.users.is(), func() { r.mustLogin("bob", 10) }})
	r.comes()
	r.expect("alice", 21)
	r.expect("bob", 12)
}

// News of the watch about a user of whom something is not merged yet change nothing of
// what is merged.
func TestToldBeforeTheMerge(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	it := r.write("state/alice", "111")
	r.Changed(it.Key, func() (store.Item, error) { return it, nil })
	r.mustLogin("alice", 10)
	r.comes()
	r.expect("alice", 131)
	if rec, _, err := r.kept.load(t.Context(), "alice"); err != nil || rec.StateRev <= it.Rev {
		t.Errorf("kept: %+v, %v", rec, err)
	}
}

// A disk that takes no writes keeps nobody from logging in with etcd but those of whom
// something is not merged.
func TestDiskTakesNoWrites(t *testing.T) {
	r := newRig(t)
	r.write("users/bob", "app")
	r.write("state/bob", "1")
	r.mustLogin("alice", 1)
	r.mustLogin("bob", 1)
	r.quiet()
	r.goes()
	r.mustLogin("alice", 10)
	r.host.fail.Store(new(func(string) (error, error) { return errors.New("read-only"), nil }))
	if err := r.login("bob", 1); err == nil {
		t.Error("let in without etcd by what is not written down")
	}
	r.fleet.down.Store(false)
	if err := r.Return(t.Context()); err != nil || r.Report().Away {
		t.Fatalf("return: %v", err)
	}
	r.mustLogin("bob", 1)
	r.mustNotLogin("alice", "not merged yet")
	r.host.fail.Store(nil)
	r.eachMinute(t.Context())
	r.mustLogin("alice", 1)
	r.expect("alice", 22)
}
