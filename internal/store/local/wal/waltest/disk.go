// Package waltest is a disk for tests of a log. When its power fails, it loses, reorders
// and tears what was not synced.
package waltest

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"

	"mfa/internal/store/local/wal"
)

// sector is what a disk writes whole, in bytes.
const sector = 512

// ErrFailed is the error of the operations of a Disk that fail.
var ErrFailed = errors.New("the disk failed")

// A Disk is a wal.Folder in memory. One goroutine at a time may use it.
type Disk struct {
	// Ops counts the operations: each file made, each write, each sync.
	Ops int
	// FailAt is the operation, counted from 1, that fails. A write that fails may be
	// there in part.
	FailAt int
	// Once has the operations after that one go well again.
	Once bool
	// AtFail, if not nil, is called by the first operation that fails.
	AtFail func()

	files map[string]*image
}

// An image is a file: what is safe on the disk, and pieces that were not synced.
type image struct {
	safe    []byte
	pending []piece
}

type piece struct {
	at   int
	data []byte
}

// op counts an operation, and says whether it fails.
func (d *Disk) op() error {
	d.Ops++
	switch {
	case d.FailAt == 0, d.Ops < d.FailAt, d.Ops > d.FailAt && d.Once:
		return nil
	case d.Ops == d.FailAt && d.AtFail != nil:
		d.AtFail()
	}
	return ErrFailed
}

// Read implements wal.Folder.
func (d *Disk) Read(name string) ([]byte, error) {
	f := d.files[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	data := slices.Clone(f.safe)
	for _, p := range f.pending {
		copy(data[p.at:], p.data)
	}
	return data, nil
}

// Make implements wal.Folder.
func (d *Disk) Make(name string, size int64) error {
	if err := d.op(); err != nil {
		return err
	}
	d.Put(name, make([]byte, size))
	return nil
}

// Put has a file be data. Later changes of data change the file.
func (d *Disk) Put(name string, data []byte) {
	if d.files == nil {
		d.files = map[string]*image{}
	}
	d.files[name] = &image{safe: data}
}

// Open implements wal.Folder.
func (d *Disk) Open(name string, size int64) (wal.File, error) {
	if f := d.files[name]; f == nil || int64(len(f.safe)) != size {
		return nil, fs.ErrNotExist
	}
	return &handle{d, d.files[name]}, nil
}

type handle struct {
	disk *Disk
	file *image
}

// WriteAt implements wal.File. It takes what a direct file takes.
func (h *handle) WriteAt(b []byte, at int64) (int, error) {
	if at%wal.BlockSize != 0 || len(b)%wal.BlockSize != 0 || int(at)+len(b) > len(h.file.safe) {
		return 0, errors.New("a write that no direct file takes")
	}
	h.file.pending = append(h.file.pending, piece{int(at), slices.Clone(b)})
	if err := h.disk.op(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Sync implements wal.File.
func (h *handle) Sync() error {
	if err := h.disk.op(); err != nil {
		return err
	}
	h.file.settle(nil)
	return nil
}

// Close implements wal.File.
func (*handle) Close() error { return nil }

// settle puts pending pieces into the file: all of them, or by chance any sectors of
// them, in any order.
func (f *image) settle(chance *rand.Rand) {
	var sectors []piece
	for _, p := range f.pending {
		for at := 0; at < len(p.data); at += sector {
			sectors = append(sectors, piece{p.at + at, p.data[at : at+sector]})
		}
	}
	if chance != nil {
		chance.Shuffle(len(sectors), func(i, j int) { sectors[i], sectors[j] = sectors[j], sectors[i] })
		sectors = sectors[:chance.IntN(len(sectors)+1)]
	}
	for _, p := range sectors {
		copy(f.safe[p.at:], p.data)
	}
	f.pending = nil
}

// After returns the disk as it is when the power comes back after it failed now. Chance
// decides what of that which was not synced is there.
func (d *Disk) After(chance *rand.Rand) *Disk {
	next := &Disk{}
	for _, name := range slices.Sorted(maps.Keys(d.files)) { // chance has one order
		f := &image{slices.Clone(d.files[name].safe), slices.Clone(d.files[name].pending)}
		f.settle(chance)
		next.Put(name, f.safe)
	}
	return next
}
