package wal

import (
	"errors"
	"fmt"
	"io/fs"
)

// Read returns the batches that count from a mark on, in order. A batch that was not
// written to its end is the end of the log. It is an error if a file is missing, cut
// short or of another log, or if a batch that counts comes after one that is lost or bad:
// then the files are not as they were left, or not of one moment.
func Read(dir Folder, from Mark) ([]Batch, error) {
	var files [2][]byte
	for i, name := range Names {
		data, err := dir.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is missing", name)
		}
		if err != nil {
			return nil, err
		}
		id, size, ok := readHead(data)
		switch {
		case !ok:
			return nil, fmt.Errorf("the first block of %s is bad", name)
		case id != from.ID:
			return nil, fmt.Errorf("%s is of another log", name)
		case size != uint64(len(data)):
			return nil, fmt.Errorf("%s has %d of %d bytes", name, len(data), size)
		}
		files[i] = data
	}
	var all []Batch
	at := from
	var ends [2]int
	for _, epoch := range []uint64{from.Epoch, from.Epoch + 1} {
		at.Epoch = epoch
		batches, end := follow(files[epoch%2], at)
		all = append(all, batches...)
		at.Seq += uint64(len(batches))
		ends[epoch%2] = end
	}
	for i, data := range files {
		if err := nothingCounts(data[ends[i]:], from, Names[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// follow returns the batches that come after at in the file of its epoch, and where the
// last of them ends.
func follow(data []byte, at Mark) (batches []Batch, end int) {
	for end = BlockSize; end < len(data); {
		at.Seq++
		b, ok := readBatch(data[end:])
		if !ok || b.At != at {
			break
		}
		batches = append(batches, b)
		end += int(roundUp(batchHead + len(b.Payload)))
	}
	return batches, min(end, len(data))
}

// nothingCounts returns an error if there is a batch that counts after the end of the log.
// Each batch was written when all before it were on the disk.
func nothingCounts(data []byte, from Mark, name string) error {
	for ; len(data) >= BlockSize; data = data[BlockSize:] {
		if b, ok := readBatch(data); ok && b.At.ID == from.ID && b.At.Epoch >= from.Epoch {
			return fmt.Errorf("%s has a good batch, %d, behind one that is lost or bad", name, b.At.Seq)
		}
	}
	return nil
}
