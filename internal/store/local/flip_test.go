package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// spentStore makes a store of some users in which alice has spent something, over
// and over so that former states of her record lie about in free pages, and returns
// its folder, what the record says, and what it said before.
func spentStore(t *testing.T) (dir, spent string) {
	t.Helper()
	s := newStore(t)
	put := func(key, value string) {
		t.Helper()
		err := store.Update(t.Context(), s, key, func([]byte) ([]byte, error) { return []byte(value), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	enroll(t, s, "alice", "x")
	for i := range 40 {
		put(fmt.Sprintf("state/user%02d", i), strings.Repeat("x", 200))
	}
	for i := range 5 {
		put("state/alice", fmt.Sprintf("spent %d", i))
		put("meta/policy", fmt.Sprintf("generation %d", i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.dir, "spent 4"
}

// openImage opens the store in dir with another database.
func openImage(t *testing.T, dir string, image []byte) (*Store, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, stateFile), image, 0o600); err != nil {
		t.Fatal(err)
	}
	return Open(dir, aKey)
}

// Whichever bit of the database flips, what was spent stays spent: the daemon does
// not start, or the record is refused, or it says what it said.
func TestNoBitBringsBackWhatWasSpent(t *testing.T) {
	dir, spent := spentStore(t)
	image, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	bits := make(map[int]bool)
	all := func(from, to int) {
		for bit := from * 8; bit < to*8; bit++ {
			bits[bit] = true
		}
	}
	all(0, pageHeader+metaSize)
	all(page, page+pageHeader+metaSize)
	at := bytes.LastIndex(image, []byte(spent))
	all(at-headLen-len("alice"), at+len(spent))
	for p := 2 * page; p < len(image); p += page { // headers and first elements
		for i := range 64 {
			bits[(p+i)*8+i%8] = true
		}
	}
	chance := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bits[chance.IntN(len(image)*8)] = true
	}
	refused, denied := 0, 0
	for bit := range bits {
		image[bit/8] ^= 1 << (bit % 8)
		s, err := openImage(t, dir, image)
		image[bit/8] ^= 1 << (bit % 8)
		if err != nil {
			refused++
			continue
		}
		it, err := s.Get(t.Context(), "state/alice")
		switch {
		case err != nil && errors.Is(err, store.ErrUnreadable):
			denied++
		case err != nil || string(it.Value) != spent:
			t.Errorf("bit %d of byte %d (page %d): %q, %v", bit%8, bit/8, bit/8/page, it.Value, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d bits: %d times refused, %d times denied", len(bits), refused, denied)
	if refused == 0 || denied == 0 {
		t.Error("the test tests nothing")
	}
}

// Pages that were in use once are good in themselves: the sum tells that they are
// old.
func TestOldPageIsRefused(t *testing.T) {
	s := newStore(t)
	put := func(value string) []byte {
		t.Helper()
		err := store.Update(t.Context(), s, "state/alice", func([]byte) ([]byte, error) { return []byte(value), nil })
		if err != nil {
			t.Fatal(err)
		}
		stored, _ := s.ledger.overlaid(spot{0, "alice"})
		return stored
	}
	old := put("a code is good")
	put("a code is used")
	change := func(fn func(tx *bolt.Tx) error) {
		t.Helper()
		if err := s.ledger.db.Update(fn); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(s.dir, aKey)
		wantText(t, err, "damaged", "state.db", "mfad --new-state")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(s.dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	state := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("state")) }
	for name, fn := range map[string]func(tx *bolt.Tx) error{
		"old":  func(tx *bolt.Tx) error { return state(tx).Put([]byte("alice"), old) },
		"gone": func(tx *bolt.Tx) error { return state(tx).Delete([]byte("alice")) },
		"another": func(tx *bolt.Tx) error {
			return errors.Join(state(tx).Delete([]byte("alice")), state(tx).Put([]byte("bob"), old))
		},
		"no sum": func(tx *bolt.Tx) error { return tx.DeleteBucket(sumBucket) },
		"before tags": func(tx *bolt.Tx) error {
			return errors.Join(tx.DeleteBucket(sumBucket), tx.Bucket([]byte("meta")).Delete([]byte("format")))
		},
		"bucket gone": func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("state")) },
		"all gone": func(tx *bolt.Tx) error {
			return errors.Join(tx.DeleteBucket(sumBucket), tx.DeleteBucket([]byte("state")), tx.DeleteBucket([]byte("meta")),
				os.WriteFile(filepath.Join(s.dir, "users", "alice.toml"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "all gone" {
				defer func() { _ = os.Remove(filepath.Join(s.dir, "users", "alice.toml")) }()
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = openImage(t, s.dir, image); err != nil {
				t.Fatal(err)
			}
			if name == "all gone" {
				if err := s.ledger.db.Update(fn); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				_, err := Open(s.dir, aKey)
				wantText(t, err, "there are enrollments", "mfad --new-state")
				return
			}
			change(fn)
		})
	}
}

// A database of the build before gets its tags once, and loses nothing.
func TestTakesOverADatabaseWithoutTags(t *testing.T) {
	s := newStore(t)
	enroll(t, s, "alice", "x")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, stateFile)
	writeUntagged(t, path, "1")
	s = openStore(t, s.dir)
	for _, key := range []string{"state/alice", "meta/policy"} {
		if it, err := s.Get(t.Context(), key); err != nil || string(it.Value) != key || it.Rev == 0 {
			t.Errorf("Get(%q) = %+v, %v", key, it, err)
		}
	}
	if err := store.CheckFormat(t.Context(), s); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, s.dir)
	// A file of no format that was ever written is no such database.
	for format, want := range map[string]string{"": "its format is lost", "2": "its format is lost", "0": "is not a format", "3": "its format is lost", "4": "newer mfad"} {
		other := newStore(t)
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		writeUntagged(t, filepath.Join(other.dir, stateFile), format)
		_, err := Open(other.dir, aKey)
		wantText(t, err, want)
	}
}

// writeUntagged makes a database as the build before did.
func writeUntagged(t *testing.T, path, format string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, &options)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		state, err := tx.CreateBucket([]byte("state"))
		meta, err2 := tx.CreateBucket([]byte("meta"))
		if err := errors.Join(err, err2, state.SetSequence(9), meta.SetSequence(9)); err != nil {
			return err
		}
		if format != "" {
			err = meta.Put([]byte("format"), append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, format...))
		}
		return errors.Join(err, state.Put([]byte("alice"), []byte("\x00\x00\x00\x00\x00\x00\x00\x07state/alice")),
			meta.Put([]byte("policy"), []byte("\x00\x00\x00\x00\x00\x00\x00\x02meta/policy")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestNewState(t *testing.T) {
	dir, _ := spentStore(t)
	path := filepath.Join(dir, stateFile)
	for name, damage := range map[string]func() error{
		"missing": func() error { return os.Remove(path) },
		"empty":   func() error { return os.WriteFile(path, nil, 0o600) },
		"garbage": func() error { return os.WriteFile(path, []byte(strings.Repeat("garbage ", 4096)), 0o600) },
		"zeroed":  func() error { return os.WriteFile(path, make([]byte, 1<<16), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			check := CheckState(dir)
			_, err := Open(dir, aKey)
			wantText(t, err, "mfad --new-state", "restore a backup")
			wantText(t, check, "mfad --new-state", "restore a backup")
			if _, err := os.Stat(path); name == "missing" && err == nil {
				t.Error("the refusal made a database")
			}
			if _, err := NewState(dir, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
			if err := CheckState(dir); err != nil {
				t.Error(err)
			}
			s := openStore(t, dir)
			if _, err := NewState(dir, time.Unix(1e9, 0)); err == nil || !strings.Contains(err.Error(), "in use by another daemon") {
				t.Errorf("under a daemon: %v", err)
			}
			if anew, err := s.BeginsAnew(); err != nil || !anew {
				t.Errorf("BeginsAnew = %v, %v", anew, err)
			}
			if err := s.Begun(); err != nil {
				t.Error(err)
			}
			if anew, err := s.BeginsAnew(); err != nil || anew {
				t.Errorf("BeginsAnew = %v, %v", anew, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if aside, err := filepath.Glob(path + ".until-*"); err != nil || len(aside) != 1 && name != "missing" {
				t.Errorf("moved aside: %q, %v", aside, err)
			} else if len(aside) == 1 {
				if err := os.Remove(aside[0]); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestRetag(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	fresh, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	was := theKey
	defer func() { theKey = was }()
	theKey = fresh
	s := newStore(t)
	for i := range retagBatch + 10 {
		if _, err := s.Put(t.Context(), store.Item{Key: fmt.Sprintf("state/user%d", i), Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := fresh.Rotate(path); err != nil {
		t.Fatal(err)
	}
	it, err := s.Get(t.Context(), "state/user7")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Retag(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Forget(path); err != nil {
		t.Fatal(err)
	}
	it.Value = []byte("y")
	if _, err := s.Put(t.Context(), it); err != nil { // the revision is the same
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.dir)
	for i := range retagBatch + 10 {
		if _, err := s.Get(context.Background(), fmt.Sprintf("state/user%d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

// A list of free pages that names a page in use would have it written over: it is refused.
func TestFreeListIsChecked(t *testing.T) {
	dir, _ := spentStore(t)
	path := filepath.Join(dir, stateFile)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	meta, err := readMeta(image, 0)
	other, err2 := readMeta(image[page:], 1)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if other.txid > meta.txid {
		meta = other
	}
	if meta.free == noFreeList {
		t.Fatal("there is no list")
	}
	list := image[int(meta.free)*page:]
	if count := native.Uint16(list[10:]); count < 2 {
		t.Fatalf("%d pages are free", count)
	}
	ids := list[pageHeader:]
	first, second := native.Uint64(ids), native.Uint64(ids[8:])
	for name, change := range map[string]func(){
		"in use":      func() { native.PutUint64(ids, meta.root) },
		"the list":    func() { native.PutUint64(ids, meta.free) },
		"twice":       func() { native.PutUint64(ids, second) },
		"no page":     func() { native.PutUint64(ids[8:], meta.high) },
		"a meta page": func() { native.PutUint64(ids, 1) },
		"cut":         func() { native.PutUint16(list[10:], math.MaxUint16); native.PutUint64(ids, 1<<40) },
		"no list":     func() { native.PutUint16(list[8:], leafPage) },
	} {
		header := bytes.Clone(list[:pageHeader])
		change()
		_, err := openImage(t, dir, image)
		wantText(t, err, "damaged", "mfad --new-state")
		if t.Failed() {
			t.Fatal(name)
		}
		copy(list, header)
		native.PutUint64(ids, first)
		native.PutUint64(ids[8:], second)
	}
	if s, err := openImage(t, dir, image); err != nil || s.Close() != nil {
		t.Error(err)
	}
}
