package local

import (
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Room that the database sets aside before a transaction: more than one of a login needs, and
// for each further login that is written with it.
const (
	roomFirst = 256 << 10
	roomMore  = 32 << 10
)

// reserve sets room on the disk aside for the database to write n records, however long they
// are, and fails where there is none. So without a log, where the disk is nearly full, all
// writes find room or none does. If that went by what each writes, a wrong code, of which more
// is noted than of a right one, could be refused without being counted: guesses would be
// without number, and the right one taken. A log has its room already.
func (l *ledger) reserve(n int) error {
	var used int64
	if err := l.db.View(func(tx *bolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		return err
	}
	more := roomFirst + int64(n)*roomMore + 2*int64(l.db.Stats().FreelistInuse) // that list is written with each
	f, err := os.OpenFile(l.db.Path(), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(allocate(f, used, more), f.Close())
}

// allocate sets blocks aside for a file, of which so many bytes are used, to grow by more. The
// length of the file stays. Where a file system keeps none for a file, or writes what changes
// elsewhere, it looks whether there is as much room.
func allocate(f *os.File, used, more int64) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: f.Name(), Err: err}
	}
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, used+more)
	}
	cannot := err != nil && !noRoom(err)
	if cannot {
		err = nil
	}
	if (cannot || fs.Type == unix.BTRFS_SUPER_MAGIC || fs.Type == bcachefs) && fs.Bavail*uint64(fs.Bsize) < uint64(more) {
		err = unix.ENOSPC
	}
	if err != nil {
		return &os.PathError{Op: "allocate", Path: f.Name(), Err: err}
	}
	return nil
}

// bcachefs is the type of that file system (statfs(2)).
const bcachefs = 0xca451a4e
