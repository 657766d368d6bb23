package offline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mfa/internal/store"
)

// full has the disk of the host take no writes.
func (r *rig) full() {
	r.host.fail.Store(new(func(string) (error, error) { return syscall.ENOSPC, nil }))
}

func (r *rig) room() { r.host.fail.Store(nil) }

// start starts the Store anew, with etcd away; crash: after a kill.
func (r *rig) start(crash bool) {
	r.t.Helper()
	if crash {
		r.crash()
	} else {
		r.close()
	}
	r.fleet.down.Store(true)
	r.open()
}

// isMarked says whether the file is there.
func (r *rig) isMarked() bool {
	_, err := os.Lstat(filepath.Join(r.dir, currentName))
	return err == nil
}

// marked waits until all that was heard is written down, when etcd was as well, and the file
// says so.
func (r *rig) marked() {
	r.t.Helper()
	r.quiet()
	r.note(r.t.Context())
	r.kept.poke() // what was busy a moment ago is looked at once more
	r.await("the file is there", r.isMarked)
}

// What this host decided with etcd is on its disk before anybody is told of it, and so counts
// after a kill.
func TestDecidedIsKeptAtOnce(t *testing.T) {
	for what, c := range map[string]struct {
		decide func(r *rig) error
		want   string // state; empty: nothing is kept
	}{
		"a login":         {func(r *rig) error { return r.login("alice", 1) }, "12"},
		"an enrollment":   {func(r *rig) error { return r.put("users/alice", "app 2") }, "11"},
		"one of no worth": {func(r *rig) error { return r.put("users/alice", "mail") }, ""},
		"a reset":         {func(r *rig) error { return r.remove("state/alice") }, ""},
	} {
		for range 20 { // to be too late is a matter of luck
			r := newRig(t)
			r.mustLogin("alice", 1)
			r.marked()
			if err := c.decide(r); err != nil {
				t.Fatal(err)
			}
			rec, _, err := r.kept.load(t.Context(), "alice")
			if string(rec.State) != c.want || (c.want == "") != errors.Is(err, store.ErrNotFound) {
				t.Fatalf("%s: kept %q, %v", what, rec.State, err)
			}
			r.start(true)
			if err := r.login("alice", 1); (err == nil) != (c.want != "") {
				t.Fatalf("%s: login after a kill: %v", what, err)
			}
			r.close()
		}
	}
}

func (r *rig) put(key, value string) error {
	it, err := r.Get(r.t.Context(), key)
	if err != nil {
		return err
	}
	it.Value = []byte(value)
	_, err = r.Put(r.t.Context(), it)
	return err
}

func (r *rig) remove(key string) error {
	it, err := r.Get(r.t.Context(), key)
	if err != nil {
		return err
	}
	return r.Delete(r.t.Context(), it)
}

// Where that cannot be written down, nothing that is kept counts after a restart, before etcd was
// heard of and all is written.
func TestDecidedOnAFullDisk(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r := newRig(t)
		r.mustLogin("alice", 1)
		r.marked()
		r.full()
		r.mustLogin("alice", 1)
		r.start(crash)
		r.room()
		r.mustNotLogin("alice", "could not all be written down")
		if !r.Report().Old {
			t.Error("the report does not say so")
		}
		r.start(crash) // it is not forgotten by that
		r.mustNotLogin("alice", "could not all be written down")
		r.comes()
		r.mustLogin("alice", 1)
		r.marked()
		r.goes()
		r.mustLogin("alice", 1)
		r.start(crash)
		r.mustLogin("alice", 1)
		r.comes()
		r.expect("alice", 15)
		r.close()
	}
}

// With room again the daemon that runs writes it down, and the next believes it.
func TestRoomAgain(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.marked()
	r.full()
	r.mustLogin("alice", 1)
	if r.isMarked() {
		t.Error("marked, and nothing was written")
	}
	r.room()
	r.mustLogin("alice", 1)
	r.marked()
	r.start(true)
	r.mustLogin("alice", 1)
	r.comes()
	r.expect("alice", 14)
}

// News of others that are not written yet are at the end, or the next start believes nothing.
func TestNewsAtTheEnd(t *testing.T) {
	for _, full := range []bool{false, true} {
		r := newRig(t)
		r.mustLogin("alice", 1)
		r.marked()
		it := r.write("state/alice", "77")
		r.end()
		r.running.Wait() // nobody writes news down any more
		r.Changed(it.Key, func() (store.Item, error) { return it, nil })
		if full {
			r.full()
		}
		r.start(false)
		r.room()
		if full {
			r.mustNotLogin("alice", "could not all be written down")
			continue
		}
		r.mustLogin("alice", 1)
		r.comes()
		r.expect("alice", 78)
	}
}

// Where the time for that is over, the next start believes nothing either.
func TestTooMuchNewsAtTheEnd(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.marked()
	it := r.write("state/alice", "77")
	r.end()
	r.running.Wait()
	r.Changed(it.Key, func() (store.Item, error) { return it, nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.host.fail.Store(new(func(string) (error, error) { return ctx.Err(), nil }))
	if r.settleAll(ctx); r.isMarked() {
		t.Error("marked, and nothing was written")
	}
	r.room()
	r.start(true)
	r.mustNotLogin("alice", "could not all be written down")
}

// Who is to be kept and was not yet, as etcd went, keeps nobody else from being let in.
func TestNewsOfSomebodyNew(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.marked()
	r.end()
	r.running.Wait()
	r.kept.want("bob")
	r.fleet.down.Store(true)
	r.start(false)
	r.mustLogin("alice", 1)
}

// What a watch missed counts as known once it was read.
func TestMissedOnAFullDisk(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.marked()
	r.write("state/alice", "77")
	r.full()
	r.Began()
	r.await("the file is gone", func() bool { return !r.isMarked() })
	r.start(true)
	r.room()
	r.mustNotLogin("alice", "could not all be written down")
}

// A record that cannot be read and is not merged stays: it may be mended.
func TestUnmergedRecordIsBroken(t *testing.T) {
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.marked()
	r.goes()
	r.mustLogin("alice", 10)
	flip := func() {
		it, err := r.host.Get(t.Context(), "state/alice")
		if err != nil {
			t.Fatal(err)
		}
		it.Value[len(it.Value)-1] ^= 1
		if _, err := r.host.Memory.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	flip()
	r.comes()
	r.expect("alice", 11)
	r.mustNotLogin("alice", "not merged yet")
	flip()
	r.eachMinute(t.Context())
	r.expect("alice", 21)
}

// A record that cannot be read keeps its user alone from being let in, and not for ever.
func TestKeptRecordIsBroken(t *testing.T) {
	r := newRig(t)
	r.write("users/bob", "app")
	r.write("state/bob", "1")
	r.mustLogin("alice", 1)
	r.mustLogin("bob", 1)
	r.marked()
	it, err := r.host.Get(t.Context(), "state/bob")
	if err != nil {
		t.Fatal(err)
	}
	it.Value[len(it.Value)-1] ^= 1
	if _, err := r.host.Memory.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	r.start(true)
	r.mustLogin("alice", 1)
	if err := r.login("bob", 1); err == nil {
		t.Error("let in by a record that cannot be read")
	}
	r.comes()
	if !r.Report().True {
		t.Error("the record is in the way of all")
	}
	r.mustLogin("bob", 1)
	r.marked()
	r.goes()
	r.mustLogin("bob", 1)
}

// Distrust is no error where nothing is kept, and counts where something is.
func TestDistrust(t *testing.T) {
	if err := Distrust(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
	r := newRig(t)
	r.mustLogin("alice", 1)
	r.marked()
	if err := Distrust(r.dir); err != nil {
		t.Error(err)
	}
	r.start(true)
	r.mustNotLogin("alice", "could not all be written down")
	if _, err := r.Get(context.Background(), "state/alice"); err == nil {
		t.Error("read without etcd")
	}
}
