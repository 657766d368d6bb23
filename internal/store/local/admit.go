package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"mfa/internal/seal"
	"mfa/internal/store"
)

var (
	bucketNames = [2][]byte{[]byte("state"), []byte("meta")}
	sumBucket   = []byte("sum") // so small that bbolt keeps it within the page that every commit writes
	sumName     = []byte("sum")
)

// errNoState is the error of a store that has enrollments and no state.
var errNoState = errors.New("there are enrollments, but nothing is there of what logins spent and counted: " +
	"codes that were used, and locks, would be forgotten; restore a backup of state.db, or run mfad --new-state, " +
	"after which all codes up to now count as used")

// A keyFunc returns the key for a database that was written with the key of that ID;
// known is empty for a new one.
type keyFunc = func(known string) (*seal.Key, error)

// admit refuses a database that is not as a daemon with this key left it, makes a
// new one if mayBeNew, and upgrades one from before records had tags. It returns
// errUnchanged if there is nothing to write.
func (l *ledger) admit(tx *bolt.Tx, mayBeNew bool, key keyFunc) error {
	tagged := tx.Bucket(sumBucket) != nil
	format, err := formatOf(tx)
	if err != nil {
		return err
	}
	switch {
	case format == 0 && !tagged && isEmpty(tx):
		if !mayBeNew {
			return errNoState
		}
	case format == 0, tagged != (format >= store.FormatTagged), (markOf(tx) != nil) != (format >= store.FormatLogged):
		return damaged(errors.New("its format is lost"))
	}
	batches, err := l.readLog(tx)
	if err != nil {
		return err
	}
	k, err := key(keyNameOf(tx, tagged, batches))
	if err != nil {
		return err
	}
	l.auth = k.Authenticator(purpose)
	if !tagged && !tx.Writable() {
		return errors.New("it is of the build before, and a disk that takes no writes cannot take it over")
	}
	if !tagged {
		return l.tagAll(tx)
	}
	if err := l.verify(tx); err != nil {
		return err
	}
	if err := l.replay(tx, batches); err != nil {
		return err
	}
	return errUnchanged
}

// formatOf returns the format that the database is in, 0 if it says none. It is
// read before anything else, as builds of all formats read it.
func formatOf(tx *bolt.Tx) (int, error) {
	b := tx.Bucket([]byte("meta"))
	if b == nil {
		return 0, nil
	}
	stored := b.Get([]byte(formatName))
	if stored == nil {
		return 0, nil
	}
	if len(stored) < revSize {
		return 0, damaged(errors.New("it says no format"))
	}
	n, err := store.ParseFormat(stored[revSize:])
	if err != nil {
		return 0, err
	}
	return n, nil
}

// keyNameOf returns the ID of the key that the database and its log say they were written
// with. It is not verified yet.
func keyNameOf(tx *bolt.Tx, tagged bool, batches []logged) string {
	for _, b := range slices.Backward(batches) {
		if stored := b.changes.records[spot{inMeta, "key"}]; len(stored) >= headLen {
			return string(stored[headLen:])
		}
	}
	b := tx.Bucket([]byte("meta"))
	if b == nil {
		return ""
	}
	skip := revSize
	if tagged {
		skip = headLen
	}
	if stored := b.Get([]byte("key")); len(stored) >= skip {
		return string(stored[skip:])
	}
	return ""
}

func isEmpty(tx *bolt.Tx) bool {
	for _, name := range bucketNames {
		if b := tx.Bucket(name); b != nil {
			if first, _ := b.Cursor().First(); first != nil {
				return false
			}
		}
	}
	return true
}

// verify checks that the records are exactly those of the last commit, and that the mark
// of the log is of the same commit.
func (l *ledger) verify(tx *bolt.Tx) error {
	want, err := readSum(tx)
	if err != nil {
		return err
	}
	stored := tx.Bucket(sumBucket).Get(sumName)
	if ok, _ := l.auth.Verify(stored[len(want):], sumBucket, stored[:len(want)]); !ok {
		return damaged(errSum)
	}
	if m := markOf(tx); m != nil {
		if ok, _ := l.auth.Verify(m[markLen:], logName, m[:markLen], want[:]); !ok {
			return damaged(errSum)
		}
	}
	l.now.sum = want
	txid := uint64(tx.ID())
	if tx.Writable() {
		txid-- // its own, not the one before
	}
	if l.found.txid != txid {
		return errors.New("another program wrote into it just now")
	}
	for i, name := range bucketNames {
		b := tx.Bucket(name)
		if b == nil {
			return damaged(fmt.Errorf("the bucket %q is missing", name))
		}
		if l.now.revs[i] = b.Sequence(); l.found.newest[i] > l.now.revs[i] {
			return damaged(errSum)
		}
	}
	if l.found.sum != want {
		return damaged(errSum)
	}
	return nil
}

// tagAll tags every record of a database from before records had tags, and raises its
// format: from then on a record without a tag is refused.
func (l *ledger) tagAll(tx *bolt.Tx) error {
	var all sum
	for _, name := range bucketNames {
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		err = forEachSafely(b, func(k, v []byte) error {
			if len(v) < revSize || !isTagged(name, string(k)) {
				return nil
			}
			stored := l.pack(name, string(k), binary.BigEndian.Uint64(v), v[revSize:])
			all.flip(name, string(k), stored)
			return b.Put(k, stored)
		})
		if err != nil {
			return err
		}
	}
	meta := tx.Bucket([]byte("meta"))
	rev, err := meta.NextSequence()
	if err != nil {
		return err
	}
	stored := l.pack([]byte("meta"), formatName, rev, store.FormatText()) // no log counts yet
	all.flip([]byte("meta"), formatName, stored)
	if err := meta.Put([]byte(formatName), stored); err != nil {
		return err
	}
	if _, err := tx.CreateBucketIfNotExists(sumBucket); err != nil {
		return err
	}
	l.now = standing{all, [...]uint64{tx.Bucket(bucketNames[0]).Sequence(), rev}}
	return l.vouch(tx, all, nil)
}

// forEachSafely calls fn, which may change what it is called with, for a copy of
// each record.
func forEachSafely(b *bolt.Bucket, fn func(k, v []byte) error) error {
	var keys [][]byte
	err := b.ForEach(func(k, _ []byte) error {
		keys = append(keys, slices.Clone(k))
		return nil
	})
	for _, k := range keys {
		if err == nil {
			err = fn(k, slices.Clone(b.Get(k)))
		}
	}
	return err
}

// readSum returns the sum that stands in tx.
func readSum(tx *bolt.Tx) (s sum, err error) {
	b := tx.Bucket(sumBucket)
	if b == nil {
		return s, damaged(errSum)
	}
	stored := b.Get(sumName)
	if len(stored) != len(s)+seal.TagSize {
		return s, damaged(errSum)
	}
	copy(s[:], stored)
	return s, nil
}
