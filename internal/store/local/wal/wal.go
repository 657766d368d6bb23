// Package wal is a log of batches of bytes in two files of a fixed size: a batch is on
// the disk when Append returns, by one write.
//
// What to know before trusting it: its checksums find faults of the disk, not changes by
// an attacker, as it has no key. One goroutine at a time may use a Log. After a write or
// a sync that failed it takes nothing more: it is not known what the disk holds then, and
// a second sync of the same file would report success. Read reads the batches again, from
// the Mark that the owner stores elsewhere. The format is in docs/state-log.md.
package wal

import (
	"errors"
	"fmt"
	"io"
)

// Names are the names of the two files. Batches of an even epoch are in the first, those
// of an odd one in the second.
var Names = [2]string{"state-0.log", "state-1.log"}

// A Folder is where the files are.
type Folder interface {
	// Read returns all of a file. The error wraps fs.ErrNotExist if there is none.
	Read(name string) ([]byte, error)
	// Make makes a file of size zero bytes, and replaces one that is there. It is on the
	// disk when Make returns.
	Make(name string, size int64) error
	// Open opens a file of that size for writing. The error wraps fs.ErrNotExist if there
	// is none.
	Open(name string, size int64) (File, error)
}

// A File is written in whole blocks at multiples of BlockSize, from an aligned buffer.
type File interface {
	io.WriterAt
	// Sync returns when all that was written is on the disk.
	Sync() error
	io.Closer
}

// An ID identifies a log. It is random.
type ID [16]byte

// A Mark says which batches count: those of the log ID that come after Seq. The first of
// them is in Epoch, the others in Epoch and the one that follows.
type Mark struct {
	ID    ID
	Epoch uint64
	Seq   uint64
}

// A Batch is an appended batch with its place in the log: At.Seq is its own sequence.
type Batch struct {
	At      Mark
	Payload []byte
}

// ErrFull is the error of a batch for which the file has no room.
var ErrFull = errors.New("the file of the log is full")

// errBusy is the error of a change to a file that has not been released.
var errBusy = errors.New("the other file of the log is in use")

// A Log is a log that is being written. Create makes one.
type Log struct {
	files  [2]File
	size   int64
	last   Mark  // the last batch, or what Create said
	offset int64 // in the file of last.Epoch, where the next batch begins
	held   bool  // the other file holds batches that count
	failed error // ends it
	buf    []byte
}

// Create begins the empty log id in files of size bytes, a multiple of BlockSize. It uses
// the files that are there, if they have that size and can be opened, else new ones. Old
// batches in them do not count any more. The first epoch is 1, and the first batch has
// the sequence 1.
func Create(dir Folder, id ID, size int64) (_ *Log, err error) {
	if size%BlockSize != 0 || size < 2*BlockSize {
		return nil, fmt.Errorf("make a log: %d bytes are no size", size)
	}
	l := &Log{size: size, last: Mark{ID: id, Epoch: 1}, offset: BlockSize, buf: aligned(BlockSize)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a log: %w", err), l.Close())
		}
	}()
	for i, name := range Names {
		if l.files[i], err = dir.Open(name, size); err != nil {
			if err := dir.Make(name, size); err != nil {
				return nil, err
			}
			if l.files[i], err = dir.Open(name, size); err != nil {
				l.files[i] = nil
				return nil, err
			}
		}
		putHead(l.buf, id, uint64(size))
		if err := write(l.files[i], l.buf[:BlockSize], 0); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// write returns when b is on the disk.
func write(f File, b []byte, at int64) error {
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Sync()
}

// Next returns the Mark that the next batch will have.
func (l *Log) Next() Mark {
	next := l.last
	next.Seq++
	return next
}

// Fits reports whether a batch of n bytes fits into the rest of the file, and whether it
// would fit into an empty one.
func (l *Log) Fits(n int) (now, ever bool) {
	length := roundUp(batchHead + n)
	return l.offset+length <= l.size, BlockSize+length <= l.size
}

// Append writes a batch, which is on the disk when it returns nil. It returns ErrFull if
// the file has no room; nothing is changed then. After any other error the batch may be
// there or not, and every later call returns that error.
func (l *Log) Append(payload []byte) error {
	if l.failed != nil {
		return l.failed
	}
	if now, _ := l.Fits(len(payload)); !now {
		return ErrFull
	}
	next := l.Next()
	length := roundUp(batchHead + len(payload))
	if int64(len(l.buf)) < length {
		l.buf = aligned(length)
	}
	putBatch(l.buf[:length], next, payload)
	if err := write(l.files[next.Epoch%2], l.buf[:length], l.offset); err != nil {
		l.failed = err
		return err
	}
	l.last = next
	l.offset += length
	if len(l.buf) > keepBuffer {
		l.buf = aligned(BlockSize)
	}
	return nil
}

// Switch makes the following batches go to the other file, from its beginning. It returns
// the mark from which they count. Once all before it is stored elsewhere, together with
// the mark, call Release; before that, Switch fails.
func (l *Log) Switch() (Mark, error) {
	switch {
	case l.failed != nil:
		return Mark{}, l.failed
	case l.held:
		return Mark{}, errBusy
	}
	l.last.Epoch++
	l.offset = BlockSize
	l.held = true
	return l.last, nil
}

// Release says that nothing in the file before the last Switch counts any more.
func (l *Log) Release() { l.held = false }

// Err returns the error that ended the log, or nil.
func (l *Log) Err() error { return l.failed }

// Close closes the files and changes nothing in them.
func (l *Log) Close() error {
	var errs []error
	for _, f := range l.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if l.failed == nil {
		l.failed = errors.New("the log is closed")
	}
	return errors.Join(errs...)
}
