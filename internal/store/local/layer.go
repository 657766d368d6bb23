package local

import (
	"cmp"
	"slices"

	"mfa/internal/store/local/wal"
)

// A spot is where a record is: the index of its bucket in bucketNames, and its name.
type spot struct {
	bucket uint8
	name   string
}

const inMeta = 1 // the index of the bucket "meta"

func (s spot) bucketName() []byte { return bucketNames[s.bucket] }

// A standing describes all records at one moment: their sum, and the last revision given
// in each bucket.
type standing struct {
	sum  sum
	revs [len(bucketNames)]uint64
}

// A layer is a set of changes over the database, or over another layer.
type layer struct {
	records map[spot][]byte // as stored; nil: removed
	bytes   int
	after   standing // of all records, with these changes
	mark    wal.Mark // for the database once it holds these changes
}

func newLayer(before standing) *layer {
	return &layer{records: map[spot][]byte{}, after: before}
}

// get returns what the layer has of a record, and whether it has any.
func (y *layer) get(at spot) (stored []byte, found bool) {
	if y == nil {
		return nil, false
	}
	stored, found = y.records[at]
	return stored, found
}

// change replaces the record at, which was stored as was, and updates the sum.
func (y *layer) change(at spot, was, stored []byte) {
	y.after.sum.flip(at.bucketName(), at.name, was)
	y.after.sum.flip(at.bucketName(), at.name, stored)
	y.put(at, stored)
}

func (y *layer) put(at spot, stored []byte) {
	y.bytes += len(stored) - len(y.records[at])
	y.records[at] = stored
}

// add puts the changes of a layer that lies over y into y.
func (y *layer) add(over *layer) {
	for at, stored := range over.records {
		y.put(at, stored)
	}
	y.after = over.after
}

// spots returns what the layer has, in the order of the database.
func (y *layer) spots() []spot {
	all := make([]spot, 0, len(y.records))
	for at := range y.records {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b spot) int { return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.name, b.name)) })
	return all
}
