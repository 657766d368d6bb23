package local

import (
	"bytes"
	"sync"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
)

// maxKept bounds the files that are kept, and maxKeptSize each, in bytes: 8 MiB in all.
const (
	maxKept     = 4096
	maxKeptSize = 2 << 10
)

// kept is the cache of files that were read; file.Mark says how long each counts. Now is
// the clock. It may be used from many goroutines.
type kept struct {
	now func() file.Moment

	mu    sync.RWMutex // guards files
	files map[string]keptFile
}

// A keptFile is what was read of a file. It never changes.
type keptFile struct {
	mark  file.Mark
	value []byte
	rev   uint64
}

func newKept() *kept { return &kept{now: file.Now, files: map[string]keptFile{}} }

// get returns the content of the file at path, if it is cached and still counts. The
// caller may change the value.
func (k *kept) get(path string) (value []byte, rev uint64, ok bool) {
	k.mu.RLock()
	f, ok := k.files[path]
	k.mu.RUnlock()
	if !ok {
		return nil, 0, false
	}
	if !f.mark.Counts(path, k.now()) {
		k.drop(path)
		return nil, 0, false
	}
	return bytes.Clone(f.value), f.rev, true
}

// put caches the content that was read, since the moment now, of the file at path, if any
// later change is sure to be seen. Fd and st are of the open file.
func (k *kept) put(path string, fd int, st *unix.Stat_t, now file.Moment, value []byte, rev uint64) {
	if len(value) > maxKeptSize {
		return
	}
	mark, ok := file.MarkOf(fd, st, now)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, has := k.files[path]; !has && len(k.files) >= maxKept {
		for other := range k.files { // any one
			delete(k.files, other)
			break
		}
	}
	k.files[path] = keptFile{mark, bytes.Clone(value), rev}
}

func (k *kept) drop(path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.files, path)
}
