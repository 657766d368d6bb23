package local

import (
	"errors"
	"fmt"
	"io/fs"

	bolt "go.etcd.io/bbolt"

	"mfa/internal/seal"
	"mfa/internal/store/local/wal"
)

// A logged batch is one that the log held, and what it changes.
type logged struct {
	wal.Batch
	changes *layer
}

// markOf returns the mark of the log with its tag as tx has them, nil if it has none.
func markOf(tx *bolt.Tx) []byte {
	b := tx.Bucket(sumBucket)
	if b == nil {
		return nil
	}
	return b.Get(logName)
}

// readLog returns the batches of the log that count. They are not verified yet.
func (l *ledger) readLog(tx *bolt.Tx) ([]logged, error) {
	stored := markOf(tx)
	if stored == nil {
		return nil, nil
	}
	if len(stored) != markLen+seal.TagSize {
		return nil, damaged(errSum)
	}
	l.marked = true
	batches, err := wal.Read(l.folder, readMark(stored))
	if errors.Is(err, fs.ErrPermission) {
		return nil, err // nothing is lost
	}
	if err != nil {
		return nil, damagedLog(err)
	}
	all := make([]logged, 0, len(batches))
	for _, b := range batches {
		changes, err := decode(b.Payload)
		if err != nil {
			return nil, damagedLog(err)
		}
		all = append(all, logged{b, changes})
	}
	return all, nil
}

// replay verifies the batches of the log and makes them the recent layer over tx.
func (l *ledger) replay(tx *bolt.Tx, batches []logged) error {
	y := newLayer(l.now)
	for _, b := range batches {
		if !l.vouched(b.Batch) {
			return damagedLog(fmt.Errorf("batch %d is not as mfad wrote it", b.At.Seq))
		}
		before := y.after
		for at, stored := range b.changes.records {
			was, found := y.get(at)
			if !found {
				was = tx.Bucket(at.bucketName()).Get([]byte(at.name))
			}
			y.change(at, was, stored)
		}
		for i, rev := range b.changes.after.revs {
			if rev < before.revs[i] {
				return damagedLog(errOrder)
			}
		}
		if y.after.sum != b.changes.after.sum {
			return damagedLog(errOrder)
		}
		y.after = b.changes.after
	}
	l.recent, l.now = y, y.after
	return nil
}

var errOrder = errors.New("its batches do not follow from one another")
