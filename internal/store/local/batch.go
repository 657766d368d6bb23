package local

import (
	"encoding/binary"
	"errors"

	"mfa/internal/seal"
	"mfa/internal/store/local/wal"
)

// A batch of the log is the standing after it, its changes, and a tag that binds both to
// their place in their log. The format is in docs/state-log.md.

// standingLen is the length of a standing in a batch.
const standingLen = len(sum{}) + 8*len(bucketNames)

var errBatch = errors.New("a batch of the log is not as mfad wrote it")

// encode returns the payload of a batch at a place in the log.
func (l *ledger) encode(at wal.Mark, ch *layer) []byte {
	b := make([]byte, 0, standingLen+ch.bytes+64*len(ch.records)+seal.TagSize)
	b = append(b, ch.after.sum[:]...)
	for _, rev := range ch.after.revs {
		b = binary.BigEndian.AppendUint64(b, rev)
	}
	for spot, stored := range ch.records {
		b = append(b, spot.bucket)
		b = binary.AppendUvarint(b, uint64(len(spot.name)))
		b = append(b, spot.name...)
		if stored == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(stored))+1)
		b = append(b, stored...)
	}
	tag := l.auth.Tag(batchParts(at, b)...)
	return append(b, tag[:]...)
}

// batchParts are what the tag of a batch is made of.
func batchParts(at wal.Mark, body []byte) [][]byte {
	return [][]byte{[]byte("log"), markBytes(at), body}
}

// markBytes is how a mark is stored.
func markBytes(m wal.Mark) []byte {
	b := append([]byte{}, m.ID[:]...)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, m.Epoch), m.Seq)
}

const markLen = 16 + 8 + 8

func readMark(b []byte) (m wal.Mark) {
	copy(m.ID[:], b)
	m.Epoch, m.Seq = binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	return m
}

// vouched reports whether the tag of a batch is right.
func (l *ledger) vouched(b wal.Batch) bool {
	end := len(b.Payload) - seal.TagSize
	if end < 0 {
		return false
	}
	ok, _ := l.auth.Verify(b.Payload[end:], batchParts(b.At, b.Payload[:end])...)
	return ok
}

// decode returns the changes of a batch. It does not verify the tag.
func decode(payload []byte) (*layer, error) {
	end := len(payload) - seal.TagSize
	if end < standingLen {
		return nil, errBatch
	}
	b := payload[:end]
	var after standing
	b = b[copy(after.sum[:], b):]
	for i := range after.revs {
		after.revs[i], b = binary.BigEndian.Uint64(b), b[8:]
	}
	ch := newLayer(after)
	for len(b) > 0 {
		bucket, rest := b[0], b[1:]
		name, rest, err := field(rest, 0)
		if err != nil || int(bucket) >= len(bucketNames) {
			return nil, errBatch
		}
		stored, rest, err := field(rest, 1)
		if err != nil {
			return nil, err
		}
		ch.put(spot{bucket, string(name)}, stored)
		b = rest
	}
	return ch, nil
}

// field reads a value behind its length, to which more was added. A length below more
// stands for nil.
func field(b []byte, more uint64) (value, rest []byte, err error) {
	n, skip := binary.Uvarint(b)
	if skip <= 0 || n > uint64(len(b)-skip)+more {
		return nil, nil, errBatch
	}
	b = b[skip:]
	if n < more {
		return nil, b, nil
	}
	n -= more
	return b[:n:n], b[n:], nil
}
