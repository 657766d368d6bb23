package file

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Settled is how long a file must be left alone before it gets a Mark. File systems note
	// times no finer than the kernel's tick, some no finer than a second.
	Settled = 2 * time.Second
	// MarkedFor is how long a Mark counts. After that, a change is seen that left the time
	// alone, as by a program that has the file mapped into its memory.
	MarkedFor = time.Minute
	// ClockStep is how far the clock may be moved while a Mark counts. Set back further, it
	// could give a change the time that the file had before.
	ClockStep = Settled / 4
)

// A Mark tells whether a file that was read is surely still what was read: the kernel
// shows the same file without a change. It notes the time of every write, link, rename,
// change of owner or mode (ctime in inode(7)), which no program can set back. A file that
// changed a moment ago gets no Mark, as it may change again within the same tick of the
// kernel's clock. A Mark never changes, and may be used from many goroutines.
type Mark struct {
	stamp stamp
	taken Moment
}

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

// A Moment is a time by the clock that the kernel stamps files with, and by one that
// nobody sets.
type Moment struct{ Wall, Steady time.Duration }

// Now returns this Moment.
func Now() Moment {
	return Moment{kernelTime(unix.CLOCK_REALTIME_COARSE), kernelTime(unix.CLOCK_MONOTONIC_COARSE)}
}

// kernelTime reads a clock of the kernel's. Nothing gets a Mark by one that cannot be read.
func kernelTime(clock int32) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// MarkOf returns the Mark of an open file, which must not have been read before the moment
// now; st is what fstat(2) said of it before it was read. It is not ok if a later change
// might leave the file with the same stamp.
func MarkOf(fd int, st *unix.Stat_t, now Moment) (m Mark, ok bool) {
	for _, t := range []unix.Timespec{st.Mtim, st.Ctim} {
		if now.Wall-time.Duration(t.Nano()) < Settled {
			return Mark{}, false
		}
	}
	return Mark{stampOf(st), now}, notesChanges(fd)
}

// Counts reports whether the file at path is surely, at the moment now, what was read. A
// symbolic link never is.
func (m Mark) Counts(path string, now Moment) bool {
	if m.Old(now) {
		return false
	}
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && stampOf(&st) == m.stamp
}

// Old reports whether the Mark counts no more at the moment now, whatever became of the
// file: it is a while ago, or the clock was moved.
func (m Mark) Old(now Moment) bool {
	step := (now.Wall - now.Steady) - (m.taken.Wall - m.taken.Steady)
	return now.Steady-m.taken.Steady >= MarkedFor || step.Abs() >= ClockStep
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
