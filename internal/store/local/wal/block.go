package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"unsafe"
)

// BlockSize is the size of a block, in bytes. A file is written in whole blocks, and each
// batch begins on a new one, so that no write touches another batch.
const BlockSize = 4096

// keepBuffer bounds the buffer that is kept between batches, in bytes.
const keepBuffer = 256 << 10

// The first block of a file names its log. All that counts in it lies within the first
// sector of a disk, so no power failure leaves half of it.
const (
	headMagic = "MFALOG1\n"
	headLen   = 8 + 4 + 16 + 8 // magic, checksum, ID, size of the file
)

// A batch begins so; its payload follows, and zeros up to the end of the block.
const (
	batchMagic = "MFABATCH"
	batchHead  = 8 + 4 + 4 + 16 + 8 + 8 // magic, checksum of what follows, length of the payload, ID, epoch, sequence
	sumEnd     = 12                     // magic and checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// roundUp returns n in whole blocks, in bytes.
func roundUp(n int) int64 { return (int64(n) + BlockSize - 1) / BlockSize * BlockSize }

// aligned returns a buffer that direct writes can be made from (open(2), O_DIRECT).
func aligned(n int64) []byte {
	b := make([]byte, n+BlockSize)
	skip := BlockSize - int64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))%BlockSize)
	return b[skip : skip+n : skip+n]
}

// putHead writes the first block of a file into b.
func putHead(b []byte, id ID, size uint64) {
	clear(b[:BlockSize])
	copy(b, headMagic)
	copy(b[sumEnd:], id[:])
	binary.BigEndian.PutUint64(b[sumEnd+16:], size)
	binary.BigEndian.PutUint32(b[8:], checksum(b[sumEnd:headLen]))
}

// readHead reads what putHead wrote.
func readHead(b []byte) (id ID, size uint64, ok bool) {
	if len(b) < BlockSize || !bytes.HasPrefix(b, []byte(headMagic)) ||
		binary.BigEndian.Uint32(b[8:]) != checksum(b[sumEnd:headLen]) {
		return ID{}, 0, false
	}
	copy(id[:], b[sumEnd:])
	return id, binary.BigEndian.Uint64(b[sumEnd+16:]), true
}

// putBatch fills b, which is in whole blocks, with a batch.
func putBatch(b []byte, at Mark, payload []byte) {
	copy(b, batchMagic)
	binary.BigEndian.PutUint32(b[12:], uint32(len(payload)))
	copy(b[16:], at.ID[:])
	binary.BigEndian.PutUint64(b[32:], at.Epoch)
	binary.BigEndian.PutUint64(b[40:], at.Seq)
	n := batchHead + copy(b[batchHead:], payload)
	clear(b[n:])
	binary.BigEndian.PutUint32(b[8:], checksum(b[sumEnd:n]))
}

// readBatch reads the batch that b begins with. The payload is a part of b.
func readBatch(b []byte) (_ Batch, ok bool) {
	if len(b) < batchHead || !bytes.HasPrefix(b, []byte(batchMagic)) {
		return Batch{}, false
	}
	length := uint64(binary.BigEndian.Uint32(b[12:]))
	if length > uint64(len(b)-batchHead) {
		return Batch{}, false
	}
	end := batchHead + int(length)
	if binary.BigEndian.Uint32(b[8:]) != checksum(b[sumEnd:end]) {
		return Batch{}, false
	}
	var at Mark
	copy(at.ID[:], b[16:])
	at.Epoch, at.Seq = binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])
	return Batch{At: at, Payload: b[batchHead:end:end]}, true
}
