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

// A residence drops mapped pages from the memory of the daemon: bbolt maps the whole file,
// and every page that was ever read would count. The pages stay in the kernel's cache. It
// may be used from many goroutines.
type residence struct {
	after time.Duration // 0: dropAfter

	mu    sync.Mutex  // guards timer
	timer *time.Timer // runs since the first read after pages were given back; nil: none was
}

// read notes a read of db.
func (r *residence) read(db *bolt.DB) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		return
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
}

// drop drops the mapped pages (MADV_DONTNEED of madvise(2)). It does so within a
// transaction, as bbolt does not map the file anew then. A failure only costs memory.
func drop(db *bolt.DB) {
	_ = db.View(func(tx *bolt.Tx) error {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, db.Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
		return nil
	})
}
