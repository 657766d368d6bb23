package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
)

// A disk is what a folder is on the disk, and what is not synced yet. All that the program
// did shows to programs; of what is not synced, a power failure leaves any part.
//
// Names are on the disk once their folder is synced, data once their file is. A rename is
// there or not, never by half: every file system that keeps a journal promises that.
type disk struct {
	safe  map[string]*inode // names on the disk
	shown map[string]*inode // names that programs see
	names []naming          // that are not synced, oldest first
	all   []*inode
}

// An inode is a file or a folder.
type inode struct {
	dir     bool
	mode    os.FileMode
	data    []byte   // on the disk; never changed in place
	pending []change // not synced, oldest first
}

// A change is one of a file.
type change struct {
	kind kind
	off  int64
	data []byte
	size int64
	mode os.FileMode
}

// A naming is one change of the names in a folder.
type naming struct {
	dir string
	set map[string]*inode // nil: the name goes
}

// newDisk returns a disk with what is in a folder, all synced.
func newDisk(base map[string]node) *disk {
	d := &disk{safe: map[string]*inode{}, shown: map[string]*inode{}}
	for path, n := range base {
		i := &inode{dir: n.Dir, mode: n.Mode, data: n.Data}
		d.safe[path], d.shown[path] = i, i
		d.all = append(d.all, i)
	}
	return d
}

// dirOf returns the folder of a path; "." for the outermost.
func dirOf(path string) string { return filepath.Dir(path) }

// apply carries out an operation.
func (d *disk) apply(o op) {
	i := d.shown[o.Path]
	switch o.Kind {
	case create, mkdir:
		i = &inode{dir: o.Kind == mkdir, mode: o.Mode}
		d.all = append(d.all, i)
		d.name(dirOf(o.Path), map[string]*inode{o.Path: i})
	case rename:
		d.name(dirOf(o.To), map[string]*inode{o.Path: nil, o.To: i})
	case link:
		d.name(dirOf(o.To), map[string]*inode{o.To: i})
	case unlink:
		d.name(dirOf(o.Path), map[string]*inode{o.Path: nil})
	case syncDir:
		d.syncNames(o.Path)
	case write, truncate, chmod:
		if i != nil {
			d.change(i, o)
		}
	case fsync, datasync:
		if i != nil {
			i.sync(func(c change) bool { return o.Kind == fsync || c.kind != chmod })
		}
	}
}

// name gives and takes names, not synced yet.
func (d *disk) name(dir string, set map[string]*inode) {
	d.names = append(d.names, naming{dir, set})
	give(d.shown, set)
}

func give(names, set map[string]*inode) {
	for path, i := range set {
		if i == nil {
			delete(names, path)
		} else {
			names[path] = i
		}
	}
}

// syncNames puts the names in a folder on the disk.
func (d *disk) syncNames(dir string) {
	if dir == "" {
		dir = "." // the outermost
	}
	d.names = slices.DeleteFunc(d.names, func(n naming) bool {
		if n.dir == dir {
			give(d.safe, n.set)
		}
		return n.dir == dir
	})
}

// change changes a file. What was synced by its own write is on the disk, and all that it
// lies over.
func (d *disk) change(i *inode, o op) {
	c := change{o.Kind, o.Off, o.Data, o.Size, o.Mode}
	i.pending = append(i.pending, c)
	if o.Synced && o.Kind == write {
		i.sync(func(p change) bool { return p.overlaps(c) })
	}
}

// overlaps reports whether two changes are of the same bytes.
func (c change) overlaps(w change) bool {
	end := w.off + int64(len(w.data))
	return c.kind == truncate && c.size < end || c.kind == write && c.off < end && w.off < c.off+int64(len(c.data))
}

// sync puts those changes of a file on the disk that are of the kind asked for.
func (i *inode) sync(which func(change) bool) {
	data := slices.Clone(i.data)
	i.pending = slices.DeleteFunc(i.pending, func(c change) bool {
		if which(c) {
			data, i.mode = c.onto(data, i.mode, nil)
			return true
		}
		return false
	})
	i.data = data
}

// sector is what a disk writes whole, and page is what the kernel writes back, in bytes.
const (
	sector = 512
	page   = 4096
)

// onto carries out a change on a file's data, which it may change in place, or only those
// sectors of a write that keep names; nil keeps all.
func (c change) onto(data []byte, mode os.FileMode, keep func(off int64) bool) ([]byte, os.FileMode) {
	switch c.kind {
	case chmod:
		return data, c.mode
	case truncate:
		return resized(data, c.size), mode
	}
	for at := int64(0); at < int64(len(c.data)); {
		off := c.off + at
		n := min(sector-off%sector, int64(len(c.data))-at)
		if keep == nil || keep(off) {
			data = resized(data, max(int64(len(data)), off+n))
			copy(data[off:], c.data[at:at+n])
		}
		at += n
	}
	return data, mode
}

// resized returns data with a size.
func resized(data []byte, size int64) []byte {
	if int64(len(data)) >= size {
		return data[:size]
	}
	grown := slices.Grow(data, int(size)-len(data))[:size]
	clear(grown[len(data):])
	return grown
}

// A choice decides what of that which is not synced is there.
type choice struct {
	name   func(n int) bool                      // of the naming n
	change func(i *inode, n int) bool            // of the change n of a file, at all
	sector func(i *inode, n int, off int64) bool // and of each of its sectors
}

// everything is the choice that drops nothing: what SIGKILL leaves.
func everything() choice {
	return choice{
		name:   func(int) bool { return true },
		change: func(*inode, int) bool { return true },
	}
}

// after returns what is on the disk after a power failure by a choice.
func (d *disk) after(c choice) map[string]node {
	names := make(map[string]*inode, len(d.safe))
	for path, i := range d.safe {
		names[path] = i
	}
	for n, change := range d.names {
		if c.name(n) {
			give(names, change.set)
		}
	}
	all := make(map[string]node, len(names))
	for path, i := range names {
		if !reachable(names, path) {
			continue
		}
		data, mode := i.data, i.mode
		if len(i.pending) > 0 {
			data = slices.Clone(data)
		}
		for n, ch := range i.pending {
			if !c.change(i, n) {
				continue
			}
			var keep func(off int64) bool
			if c.sector != nil {
				keep = func(off int64) bool { return c.sector(i, n, off) }
			}
			data, mode = ch.onto(data, mode, keep)
		}
		all[path] = node{i.dir, data, mode}
	}
	return all
}

// reachable reports whether the folders above a path are there.
func reachable(names map[string]*inode, path string) bool {
	for dir := dirOf(path); dir != "."; dir = dirOf(dir) {
		if i := names[dir]; i == nil || !i.dir {
			return false
		}
	}
	return true
}

// lay writes what is on a disk into an empty folder.
func lay(dir string, all map[string]node) error {
	paths := make([]string, 0, len(all))
	for path := range all {
		paths = append(paths, path)
	}
	slices.Sort(paths) // a folder comes before what is in it
	for _, path := range paths {
		n, to := all[path], filepath.Join(dir, path)
		var err error
		if n.Dir {
			err = os.Mkdir(to, n.Mode)
		} else {
			err = layFile(to, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var zeros [page]byte

// layFile writes a file, with holes for zeros.
func layFile(path string, n node) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, n.Mode)
	if err != nil {
		return err
	}
	defer f.Close()
	for at := 0; at < len(n.Data); {
		end := at
		for end < len(n.Data) && !bytes.Equal(n.Data[end:min(end+page, len(n.Data))], zeros[:min(page, len(n.Data)-end)]) {
			end += page
		}
		end = min(end, len(n.Data))
		if _, err := f.WriteAt(n.Data[at:end], int64(at)); err != nil {
			return err
		}
		for at = end; at < len(n.Data) && bytes.Equal(n.Data[at:min(at+page, len(n.Data))], zeros[:min(page, len(n.Data)-at)]); {
			at += page
		}
	}
	return f.Truncate(int64(len(n.Data)))
}
