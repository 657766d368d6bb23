package local

import (
	"bytes"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Files that were read are cached for a while. A cached file counts as long as the kernel
// shows the same file without a change: it notes the time of every write, link, rename,
// change of owner or mode (ctime in inode(7)), which no program can set back. A file that
// changed a moment ago is not cached, as it may change again within the same tick of the
// kernel's clock.

const (
	// settled is how long a file must be left alone before it is kept. File systems note
	// times no finer than the kernel's tick, some no finer than a second.
	settled = 2 * time.Second
	// keptFor is how long a cached file counts. After that, a change is seen that left the
	// time alone, as by a program that has the file mapped into its memory.
	keptFor = time.Minute
	// clockStep is how much the clock may be moved while a file is kept. Set back further,
	// it could give a change the time that the file had before.
	clockStep = settled / 4
	// maxKept bounds the files that are kept, and maxKeptSize each, in bytes: 8 MiB in all.
	maxKept     = 4096
	maxKeptSize = 2 << 10
)

// A stamp is what the kernel says of a file beside its content.
type stamp struct {
	dev, ino  uint64
	size      int64
	mode, uid uint32
	modified  unix.Timespec
	changed   unix.Timespec
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{st.Dev, st.Ino, st.Size, st.Mode, st.Uid, st.Mtim, st.Ctim}
}

// A moment is a time by the clock that the kernel stamps files with, and by one that
// nobody sets.
type moment struct{ wall, steady time.Duration }

func thisMoment() moment {
	return moment{kernelTime(unix.CLOCK_REALTIME_COARSE), kernelTime(unix.CLOCK_MONOTONIC_COARSE)}
}

// kernelTime reads a clock of the kernel's. Nothing is kept by one that cannot be read.
func kernelTime(clock int32) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// kept is the cache of files. Now is the clock. It may be used from many goroutines.
type kept struct {
	now func() moment

	mu    sync.RWMutex // guards files
	files map[string]keptFile
}

// A keptFile is what was read of a file, and when. It never changes.
type keptFile struct {
	stamp stamp
	value []byte
	rev   uint64
	read  moment
}

func newKept() *kept { return &kept{now: thisMoment, files: map[string]keptFile{}} }

// get returns the content of the file at path, if it is cached and still counts. The
// caller may change the value.
func (k *kept) get(path string) (value []byte, rev uint64, ok bool) {
	k.mu.RLock()
	f, ok := k.files[path]
	k.mu.RUnlock()
	if !ok {
		return nil, 0, false
	}
	var st unix.Stat_t
	if !f.counts(k.now()) || unix.Lstat(path, &st) != nil || stampOf(&st) != f.stamp {
		k.drop(path)
		return nil, 0, false
	}
	return bytes.Clone(f.value), f.rev, true
}

// counts reports whether a file with the same stamp still has this content at the moment
// now.
func (f keptFile) counts(now moment) bool {
	step := (now.wall - now.steady) - (f.read.wall - f.read.steady)
	return now.steady-f.read.steady < keptFor && step.Abs() < clockStep
}

// put caches the content that was read at the moment now of a file with the stamp s, if
// any later change is sure to give the file another stamp.
func (k *kept) put(path string, fd int, s stamp, now moment, value []byte, rev uint64) {
	for _, t := range []unix.Timespec{s.modified, s.changed} {
		if now.wall-time.Duration(t.Nano()) < settled {
			return
		}
	}
	if len(value) > maxKeptSize || !notesChanges(fd) {
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
	k.files[path] = keptFile{s, bytes.Clone(value), rev, now}
}

func (k *kept) drop(path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.files, path)
}

// notesChanges reports whether the file system of a file is local, so that its kernel
// knows of every change at once; on NFS it may learn of one later.
func notesChanges(fd int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
		unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, zfsMagic, bcachefsMagic:
		return true
	}
	return false
}

// Of file systems that golang.org/x/sys does not name.
const (
	zfsMagic      = 0x2fc12fc1
	bcachefsMagic = 0xca451a4e
)
