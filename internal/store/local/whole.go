package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"

	"golang.org/x/sys/unix"
)

// checkWhole says what is wrong with the database at path before bbolt opens it.
// bbolt maps the file into memory and follows what it finds there: a page beyond
// the end kills the process, a damaged one may show records that were replaced
// long ago, and of two meta pages it takes the older when the newer is damaged,
// and with it a store in which the last decisions were never made. The format is
// that of bbolt's package internal/common, which has been the same since version 1.
func checkWhole(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < 2*minPage {
		return fmt.Errorf("cut short, %d bytes are left", info.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map: %w", err)
	}
	defer func() { _ = unix.Munmap(data) }()
	return checkPages(data)
}

// The file format of bbolt, in bytes and in the byte order of the machine.
const (
	pageHeader = 16 // id 8, flags 2, count 2, overflow 4
	element    = 16 // branch: pos 4, ksize 4, pgid 8; leaf: flags 4, pos 4, ksize 4, vsize 4
	bucketSize = 16 // root 8, sequence 8
	metaSize   = 64 // magic 4, version 4, pageSize 4, flags 4, bucket 16, freelist 8, pgid 8, txid 8, checksum 8
	minPage    = 512

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	branchPage, leafPage, metaPage = 1, 2, 4
	subBucket                      = 1 // flag of a leaf's element

	maxDepth = 64 // of a tree; even one of single children ends far before
)

var native = binary.NativeEndian

// A metaInfo is what a meta page says.
type metaInfo struct{ pageSize, root, high, txid uint64 }

// readMeta reads the meta page i that begins data.
func readMeta(data []byte, i uint64) (metaInfo, error) {
	if len(data) < pageHeader+metaSize {
		return metaInfo{}, errors.New("cut short")
	}
	m := data[pageHeader : pageHeader+metaSize]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8])
	info := metaInfo{uint64(native.Uint32(m[8:])), native.Uint64(m[16:]), native.Uint64(m[40:]), native.Uint64(m[48:])}
	switch {
	case native.Uint64(data) != i, native.Uint16(data[8:]) != metaPage, native.Uint32(m) != metaMagic,
		native.Uint32(m[4:]) != metaVersion, native.Uint64(m[56:]) != sum.Sum64(), info.txid%2 != i,
		info.pageSize < minPage:
		return metaInfo{}, fmt.Errorf("meta page %d is damaged", i)
	}
	return info, nil
}

// checkPages checks a whole file. Both meta pages have to be good: what bbolt
// writes there lies within one sector of a disk, so no power failure leaves half
// of it.
func checkPages(data []byte) error {
	meta, err := readMeta(data, 0)
	if err != nil {
		return err
	}
	if meta.pageSize > uint64(len(data)) {
		return errors.New("cut short")
	}
	other, err := readMeta(data[meta.pageSize:], 1)
	if err != nil {
		return err
	}
	if other.txid > meta.txid {
		meta, other = other, meta
	}
	if meta.txid-other.txid != 1 || meta.pageSize != other.pageSize {
		return errors.New("the meta pages do not belong together")
	}
	if pages := uint64(len(data)) / meta.pageSize; meta.high > pages {
		return fmt.Errorf("cut short, %d of %d bytes are left", len(data), meta.high*meta.pageSize)
	}
	w := walk{data: data, meta: meta, seen: make([]bool, meta.high)}
	return w.page(meta.root, nil, nil, 0)
}

// A walk goes through all pages in use.
type walk struct {
	data []byte
	meta metaInfo
	seen []bool // pages met
}

func damagedPage(id uint64, what string) error { return fmt.Errorf("page %d is damaged: %s", id, what) }

// page checks the page id and all below it, whose keys are from least on and below
// the key end; nil: no bound.
func (w *walk) page(id uint64, least, end []byte, depth int) error {
	if id < 2 || id >= w.meta.high || depth > maxDepth {
		return damagedPage(id, "it is out of bounds")
	}
	p := w.data[id*w.meta.pageSize:]
	pages := 1 + uint64(native.Uint32(p[12:]))
	if native.Uint64(p) != id || pages > w.meta.high-id {
		return damagedPage(id, "its header is another's")
	}
	for i := range pages {
		if w.seen[id+i] {
			return damagedPage(id, "it is in use twice")
		}
		w.seen[id+i] = true
	}
	return w.elements(id, p[:pages*w.meta.pageSize], least, end, depth)
}

// elements checks what is on the page p.
func (w *walk) elements(id uint64, p, least, end []byte, depth int) error {
	kind, count := native.Uint16(p[8:]), int(native.Uint16(p[10:]))
	if kind != branchPage && kind != leafPage || pageHeader+count*element > len(p) || kind == branchPage && count == 0 {
		return damagedPage(id, "its header is wrong")
	}
	var last []byte
	for i := range count {
		key, value, err := elementOf(p, kind, i)
		switch {
		case err != nil:
			return damagedPage(id, err.Error())
		case i > 0 && bytes.Compare(key, last) <= 0, !inBounds(key, least, end):
			return damagedPage(id, "its keys are not in order")
		}
		last = key
		e := p[pageHeader+i*element:]
		if kind == leafPage {
			err = w.item(id, native.Uint32(e), value, depth)
		} else {
			next := end
			if i+1 < count {
				if next, _, err = elementOf(p, kind, i+1); err != nil {
					return damagedPage(id, err.Error())
				}
			}
			err = w.page(native.Uint64(e[8:]), key, next, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// item checks an item of a leaf, which is on the page id: a plain value or a bucket.
func (w *walk) item(id uint64, flags uint32, value []byte, depth int) error {
	switch flags {
	case 0:
		return nil
	case subBucket:
		return w.bucket(id, value, depth)
	}
	return damagedPage(id, "an item is of no known kind")
}

// inBounds says whether a key is from least on and below end; nil: no bound.
func inBounds(key, least, end []byte) bool {
	return bytes.Compare(key, least) >= 0 && (end == nil || bytes.Compare(key, end) < 0)
}

// bucket checks a bucket, which is a tree of its own, or on a page within value.
func (w *walk) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketSize {
		return damagedPage(id, "a bucket is cut short")
	}
	if root := native.Uint64(value); root != 0 {
		return w.page(root, nil, nil, depth+1)
	}
	inline := value[bucketSize:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafPage || depth > maxDepth {
		return damagedPage(id, "a bucket has no page")
	}
	return w.elements(id, inline, nil, nil, depth+1)
}

// elementOf returns the key of element i on the page p, and the value of a leaf's.
func elementOf(p []byte, kind uint16, i int) (key, value []byte, err error) {
	at := pageHeader + i*element
	e := p[at:]
	var pos, ksize, vsize uint64
	if kind == branchPage {
		pos, ksize = uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))
	} else {
		pos, ksize, vsize = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
	}
	from := uint64(at) + pos
	if pos < element || from+ksize+vsize > uint64(len(p)) {
		return nil, nil, errors.New("an item is out of bounds")
	}
	return p[from : from+ksize], p[from+ksize : from+ksize+vsize], nil
}
