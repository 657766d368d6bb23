package local

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// A record is stored as its revision, its tag, and its value.
const (
	revSize = 8
	headLen = revSize + seal.TagSize
)

// purpose names the key that records are tagged with.
const purpose = "state.db record"

// formatName is the one record, in the bucket "meta", that is stored without a
// tag, so that builds without tags can read that they cannot read the others. The sum
// covers it.
const formatName = "format"

func isTagged(bucket []byte, name string) bool { return string(bucket) != "meta" || name != formatName }

// parts of a record, as they are tagged.
func parts(bucket []byte, name string, rev, value []byte) [][]byte {
	return [][]byte{bucket, []byte(name), rev, value}
}

// pack returns what is stored for a value.
func (l *ledger) pack(bucket []byte, name string, rev uint64, value []byte) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, headLen+len(value)), rev)
	if isTagged(bucket, name) {
		tag := l.auth.Tag(parts(bucket, name, b, value)...)
		b = append(b, tag[:]...)
	}
	return append(b, value...)
}

// unpack returns the value in what pack made.
func (l *ledger) unpack(bucket []byte, name string, stored []byte) (value []byte, isOld bool, err error) {
	switch tagged := isTagged(bucket, name); {
	case tagged && len(stored) >= headLen:
		rev, tag, value := stored[:revSize], stored[revSize:headLen], stored[headLen:]
		if ok, isOld := l.auth.Verify(tag, parts(bucket, name, rev, value)...); ok {
			return value, isOld, nil
		}
	case !tagged && len(stored) >= revSize:
		return stored[revSize:], false, nil
	}
	return nil, false, notOurs(bucket, name)
}

// notOurs is the error of a record whose tag is wrong.
func notOurs(bucket []byte, name string) error {
	remedy := "restore a backup of state.db, or run mfad --new-state"
	if string(bucket) == "state" {
		remedy = fmt.Sprintf("restore a backup of state.db, or run mfactl unlock %s, which begins anew what is remembered of them", name)
	}
	return fmt.Errorf("%w: it is not as mfad wrote it: something else changed it, or the disk is failing; %s", store.ErrUnreadable, remedy)
}

// revOf returns the revision of a stored record, also if its tag is wrong, as Put and
// Delete need it then. It is zero only for nil.
func revOf(stored []byte) uint64 {
	if stored == nil {
		return 0
	}
	var b [revSize]byte
	copy(b[:], stored)
	return max(1, binary.BigEndian.Uint64(b[:]))
}

// A sum is the XOR of hashes of all records with their revisions: a record that is
// missing, old or of another name makes another sum.
type sum [16]byte

// flip adds a record to s, or removes it: both are the same operation.
func (s *sum) flip(bucket []byte, name string, stored []byte) {
	if stored == nil {
		return
	}
	b := make([]byte, 0, 128)
	b = append(append(b, bucket...), '/')
	b = binary.BigEndian.AppendUint64(b, uint64(len(name)))
	b = append(append(b, name...), stored[:min(len(stored), headLen)]...)
	h := sha256.Sum256(b)
	for i := range s {
		s[i] ^= h[i]
	}
}

var errSum = errors.New("records are missing, or old ones are in the place of newer ones")
