package local

import (
	"context"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// retagBatch is how many records one transaction tags anew: logins wait for it.
const retagBatch = 512

// Retag tags every record anew under the newest secret of the key. After it the former
// ones may be forgotten. A record whose tag is wrong stays as it is: an error when it is
// read. Logins go on meanwhile.
func (s *Store) Retag(ctx context.Context) error {
	s.mu.RLock()
	l := s.ledger
	s.mu.RUnlock()
	// From now on all that is written has the newest tag: this takes all out of the log, and
	// then what stands in the database remains.
	err := l.alone(ctx, l.probe)
	for i := range bucketNames {
		var next []byte
		for done := false; !done && err == nil; {
			err = l.alone(ctx, func() (err error) {
				next, done, err = l.retag(uint8(i), next)
				return err
			})
		}
	}
	if err != nil {
		return fmt.Errorf("tag records anew: %w", err)
	}
	return nil
}

// retag tags up to retagBatch records anew, from the name at on, and returns where the
// next ones begin.
func (l *ledger) retag(bucket uint8, at []byte) (next []byte, done bool, err error) {
	if err := l.mend(); err != nil {
		return nil, false, err
	}
	l.reap(true)
	ch := newLayer(l.now)
	err = l.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketNames[bucket]).Cursor()
		k, v := c.Seek(at)
		for n := 0; k != nil && n < retagBatch; n++ {
			where := spot{bucket, string(k)}
			if _, found := l.overlaid(where); !found {
				value, isOld, err := l.unpack(bucketNames[bucket], where.name, v)
				if err == nil && isOld {
					ch.change(where, v, l.pack(bucketNames[bucket], where.name, revOf(v), value))
				}
			}
			k, v = c.Next()
		}
		next = slices.Clone(k)
		return nil
	})
	if err == nil && len(ch.records) > 0 {
		err = l.settle(ch)
	}
	return next, next == nil, err
}
