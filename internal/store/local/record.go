package local

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// A record is stored as its revision, the tag that vouches for it, and its value.
const (
	revSize = 8
	headLen = revSize + seal.TagSize
)

// purpose names the key that records are tagged with.
const purpose = "state.db record"

// formatName is the one record, in the bucket "meta", that is stored without a
// tag: builds that know of none have to read that they cannot read the others.
// That it is there and what it says is in the sum.
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

// notOurs is the error of a record that the daemon did not write so.
func notOurs(bucket []byte, name string) error {
	remedy := "restore a backup of state.db, or run mfad --new-state"
	if string(bucket) == "state" {
		remedy = fmt.Sprintf("restore a backup of state.db, or run mfactl unlock %s, which begins anew what is remembered of them", name)
	}
	return fmt.Errorf("%w: it is not as mfad wrote it: something else changed it, or the disk is failing; %s", store.ErrUnreadable, remedy)
}

// revOf returns the revision of what is stored, whether it can be trusted or not:
// what cannot is replaced or removed by it. It is zero for nothing only.
func revOf(stored []byte) uint64 {
	if stored == nil {
		return 0
	}
	var b [revSize]byte
	copy(b[:], stored)
	return max(1, binary.BigEndian.Uint64(b[:]))
}

// A sum stands for which records there are, each in which revision: any that is
// missing, old or of another name makes another sum. Records are added and taken
// out by the same step.
type sum [16]byte

// flip adds a record to s, or takes it out.
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
