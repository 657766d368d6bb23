package local

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// checkWhole checks the database at path before bbolt opens it. bbolt maps the file
// into memory and follows what it finds there: a page beyond the end kills the process,
// and a damaged one may show records that were replaced long ago. Of two meta pages
// bbolt takes the older if the newer is damaged, and so loses the last commit. The format
// is that of bbolt's package internal/common, which has been the same since version 1.
// In the same pass checkWhole reads the records, and returns their sum.
func checkWhole(path string) (contents, error) {
	f, err := os.Open(path)
	if err != nil {
		return contents{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return contents{}, err
	}
	if info.Size() < 2*minPage {
		return contents{}, fmt.Errorf("cut short, %d bytes are left", info.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return contents{}, fmt.Errorf("map: %w", err)
	}
	defer func() { _ = unix.Munmap(data) }()
	defer readAhead(data)() // before the file is unmapped
	return checkPages(data)
}

// contents is the sum of the records of a database, and the newest revisions.
type contents struct {
	txid   uint64 // of the last transaction
	sum    sum
	newest [len(bucketNames)]uint64 // revision in each bucket
}

// add adds a record.
func (c *contents) add(bucket int, name, stored []byte) {
	c.sum.flip(bucketNames[bucket], string(name), stored)
	c.newest[bucket] = max(c.newest[bucket], revOf(stored))
}

// join adds the records of other.
func (c *contents) join(other contents) {
	for i := range c.sum {
		c.sum[i] ^= other.sum[i]
	}
	for i := range c.newest {
		c.newest[i] = max(c.newest[i], other.newest[i])
	}
}

// readAhead makes the kernel read a mapped file in large pieces, as many at once as there
// are processors, so that a walk does not wait for each page. Wait returns when that has
// ended. A kernel that cannot (before 5.14) is no error.
func readAhead(data []byte) (wait func()) {
	const piece = 4 << 20
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				from := int(next.Add(piece)) - piece
				if from >= len(data) || unix.Madvise(data[from:min(from+piece, len(data))], unix.MADV_POPULATE_READ) != nil {
					return
				}
			}
		})
	}
	return all.Wait
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

	branchPage, leafPage, metaPage, freePage = 1, 2, 4, 16

	noFreeList = math.MaxUint64 // in the place of its page: there is none
	manyFree   = math.MaxUint16 // in the place of their number: it stands before them
	subBucket  = 1              // flag of a leaf's element

	maxDepth = 64 // of a tree; even one of single children ends far before
)

var native = binary.NativeEndian

// A metaInfo is what a meta page says.
type metaInfo struct{ pageSize, root, free, high, txid uint64 }

// readMeta reads the meta page i that begins data.
func readMeta(data []byte, i uint64) (metaInfo, error) {
	if len(data) < pageHeader+metaSize {
		return metaInfo{}, errors.New("cut short")
	}
	m := data[pageHeader : pageHeader+metaSize]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8])
	info := metaInfo{
		uint64(native.Uint32(m[8:])), native.Uint64(m[16:]), native.Uint64(m[32:]), native.Uint64(m[40:]), native.Uint64(m[48:]),
	}
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
func checkPages(data []byte) (found contents, err error) {
	meta, err := readMeta(data, 0)
	if err != nil {
		return found, err
	}
	if meta.pageSize > uint64(len(data)) {
		return found, errors.New("cut short")
	}
	other, err := readMeta(data[meta.pageSize:], 1)
	if err != nil {
		return found, err
	}
	if other.txid > meta.txid {
		meta, other = other, meta
	}
	if meta.txid-other.txid != 1 || meta.pageSize != other.pageSize {
		return found, errors.New("the meta pages do not belong together")
	}
	if pages := uint64(len(data)) / meta.pageSize; meta.high > pages {
		return found, fmt.Errorf("cut short, %d of %d bytes are left", len(data), meta.high*meta.pageSize)
	}
	w := walk{data: data, meta: meta, seen: make([]atomic.Bool, meta.high), parts: make(chan func(*walker) error)}
	if err := w.all(&found); err != nil {
		return found, err
	}
	found.txid = meta.txid
	return found, w.freeList()
}

// A walk goes through all pages in use, with as many walkers as there are processors.
type walk struct {
	data  []byte
	meta  metaInfo
	seen  []atomic.Bool            // pages met
	parts chan func(*walker) error // parts of the tree that any walker may take
}

// A walker is one of them, and what it found.
type walker struct {
	*walk
	found contents
	leads bool // it gives parts to the others
}

// all walks, and adds up what the walkers found.
func (w *walk) all(found *contents) error {
	others := make([]walker, runtime.GOMAXPROCS(0))
	errs := make([]error, len(others)+1)
	var group sync.WaitGroup
	for i := range others {
		others[i].walk = w
		group.Go(func() {
			for part := range w.parts { // to the end, for the one who gives
				errs[i] = cmp.Or(errs[i], part(&others[i]))
			}
		})
	}
	first := walker{walk: w, leads: true}
	errs[len(others)] = first.page(w.meta.root, span{}, 0, theRoot)
	close(w.parts)
	group.Wait()
	found.join(first.found)
	for i := range others {
		found.join(others[i].found)
	}
	return cmp.Or(errs...)
}

// In place of the index of a bucket that has records.
const (
	theRoot  = -1 // its items are the buckets
	noRecord = -2 // its items are of no record
)

// A span is a range of keys: from least on and below end; nil: no bound.
type span struct{ least, end []byte }

func (s span) has(key []byte) bool {
	return bytes.Compare(key, s.least) >= 0 && (s.end == nil || bytes.Compare(key, s.end) < 0)
}

func damagedPage(id uint64, what string) error { return fmt.Errorf("page %d is damaged: %s", id, what) }

// page checks the page id and all below it, within a bucket.
func (w *walker) page(id uint64, keys span, depth, bucket int) error {
	p, err := w.take(id, depth)
	if err != nil {
		return err
	}
	return w.elements(id, p, keys, depth, bucket)
}

// take returns the page id, which nothing else may have.
func (w *walk) take(id uint64, depth int) ([]byte, error) {
	if id < 2 || id >= w.meta.high || depth > maxDepth {
		return nil, damagedPage(id, "it is out of bounds")
	}
	p := w.data[id*w.meta.pageSize:]
	pages := 1 + uint64(native.Uint32(p[12:]))
	if native.Uint64(p) != id || pages > w.meta.high-id {
		return nil, damagedPage(id, "its header is another's")
	}
	for i := range pages {
		if w.seen[id+i].Swap(true) {
			return nil, damagedPage(id, "it is in use twice")
		}
	}
	return p[:pages*w.meta.pageSize], nil
}

// elements checks what is on the page p.
func (w *walker) elements(id uint64, p []byte, keys span, depth, bucket int) error {
	kind, count := native.Uint16(p[8:]), int(native.Uint16(p[10:]))
	if kind != branchPage && kind != leafPage || pageHeader+count*element > len(p) || kind == branchPage && count == 0 {
		return damagedPage(id, "its header is wrong")
	}
	if w.leads && kind == branchPage && w.isLeaf(native.Uint64(p[pageHeader+8:])) {
		w.parts <- func(other *walker) error { return other.elements(id, p, keys, depth, bucket) }
		return nil
	}
	var last []byte
	for i := range count {
		key, value, err := elementOf(p, kind, i)
		switch {
		case err != nil:
			return damagedPage(id, err.Error())
		case i > 0 && bytes.Compare(key, last) <= 0, !keys.has(key):
			return damagedPage(id, "its keys are not in order")
		}
		last = key
		e := p[pageHeader+i*element:]
		if kind == leafPage {
			err = w.item(id, native.Uint32(e), key, value, depth, bucket)
		} else {
			err = w.child(id, p, i, count, span{key, keys.end}, depth, bucket)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// child checks what is below element i of count on the branch page p. Its keys end where
// those of the next one begin.
func (w *walker) child(id uint64, p []byte, i, count int, keys span, depth, bucket int) (err error) {
	if i+1 < count {
		if keys.end, _, err = elementOf(p, branchPage, i+1); err != nil {
			return damagedPage(id, err.Error())
		}
	}
	return w.page(native.Uint64(p[pageHeader+i*element+8:]), keys, depth+1, bucket)
}

// isLeaf reports whether the page id says that it is a leaf.
func (w *walk) isLeaf(id uint64) bool {
	return id < w.meta.high && native.Uint16(w.data[id*w.meta.pageSize+8:]) == leafPage
}

// item checks an item of a leaf, which is on the page id: a plain value or a bucket.
func (w *walker) item(id uint64, flags uint32, key, value []byte, depth, bucket int) error {
	switch {
	case flags == 0 && bucket >= 0:
		w.found.add(bucket, key, value)
		return nil
	case flags == 0:
		return nil
	case flags != subBucket:
		return damagedPage(id, "an item is of no known kind")
	case bucket == theRoot:
		if i := slices.IndexFunc(bucketNames[:], func(name []byte) bool { return bytes.Equal(name, key) }); i >= 0 {
			return w.bucket(id, value, depth, i)
		}
	}
	return w.bucket(id, value, depth, noRecord)
}

// bucket checks a bucket, which is a tree of its own, or on a page within value.
func (w *walker) bucket(id uint64, value []byte, depth, bucket int) error {
	if len(value) < bucketSize {
		return damagedPage(id, "a bucket is cut short")
	}
	if root := native.Uint64(value); root != 0 {
		return w.page(root, span{}, depth+1, bucket)
	}
	inline := value[bucketSize:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafPage || depth > maxDepth {
		return damagedPage(id, "a bucket has no page")
	}
	return w.elements(id, inline, span{}, depth+1, bucket)
}

// freeList checks the list of free pages, if there is one, after the walk: bbolt writes over
// what is in it.
func (w *walk) freeList() error {
	id := w.meta.free
	if id == noFreeList {
		return nil
	}
	p, err := w.take(id, 0)
	if err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(p[10:])), p[pageHeader:]
	if count == manyFree && len(ids) >= 8 {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(p[8:]) != freePage || count > uint64(len(ids)/8) {
		return damagedPage(id, "its header is wrong")
	}
	last := uint64(1)
	for ; count > 0; count, ids = count-1, ids[8:] {
		free := native.Uint64(ids)
		if free <= last || free >= w.meta.high || w.seen[free].Load() {
			return damagedPage(id, "a page is in use and free")
		}
		last = free
	}
	return nil
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
