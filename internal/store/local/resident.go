package local

import (
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// dropAfter is how long pages of the database that a read mapped into the daemon stay
// mapped at most. To map them again takes a read about 10 µs, so it is done at most that
// often, and not for each read.
const dropAfter = 2 * time.Second

// A residence gives back mapped pages: bbolt maps the whole file, and what was ever read of
// it would count as memory of the daemon for good. The pages stay in the kernel's cache,
// where the next read finds them. It may be used from many goroutines.
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

// drop gives back the pages that are mapped (madvise(2)). Within a transaction bbolt does
// not map the file anew. A failure costs memory and nothing else, as does a database that
// was closed meanwhile.
func drop(db *bolt.DB) {
	_ = db.View(func(tx *bolt.Tx) error {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, db.Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
		return nil
	})
}
