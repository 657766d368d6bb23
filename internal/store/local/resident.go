package local

import (
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// dropAfter is how long pages of the database that a read mapped stay mapped at most. A
// read that maps them again takes about 10 µs longer, so they are not dropped after each
// read.
const dropAfter = 2 * time.Second

// dropEvery is after how many reads pages are dropped at the latest. The kernel maps up to
// 16 pages around one that is read, 64 KiB, so some 16 MiB stay mapped.
const dropEvery = 256

// dropNames is after how many names of a walk over all records pages are dropped.
const dropNames = 4096

// A residence drops mapped pages from the memory of the daemon: bbolt maps the whole file,
// and every page that was ever read would count. The pages stay in the kernel's cache. It
// may be used from many goroutines.
type residence struct {
	after time.Duration // 0: dropAfter

	mu    sync.Mutex  // guards timer and reads
	timer *time.Timer // runs since the first read after pages were given back; nil: none was
	reads int         // since pages were dropped for their number
}

// read notes a read of db, which has ended.
func (r *residence) read(db *bolt.DB) {
	if r.note(db) {
		drop(db)
	}
}

// note counts a read, and reports whether there were so many that pages are to be dropped.
func (r *residence) note(db *bolt.DB) (many bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads++; r.reads >= dropEvery {
		r.reads, many = 0, true
	}
	if r.timer != nil {
		return many
	}
	after := dropAfter
	if r.after > 0 {
		after = r.after
	}
	r.timer = time.AfterFunc(after, func() {
		r.mu.Lock()
		r.timer = nil
		r.mu.Unlock()
		drop(db)
	})
	return many
}

// drop drops the mapped pages, within a transaction: bbolt does not map the file anew then.
func drop(db *bolt.DB) {
	_ = db.View(func(tx *bolt.Tx) error {
		dropWithin(tx)
		return nil
	})
}

// dropWithin is drop for a transaction that there is (MADV_DONTNEED of madvise(2)). What
// is read afterwards is mapped again. A failure only costs memory.
func dropWithin(tx *bolt.Tx) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
}
