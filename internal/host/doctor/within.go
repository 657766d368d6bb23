package doctor

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Within returns the files below root as a machine sees them whose root folder it
// is: links, also absolute ones, stay within. Nothing is waited for, as it would
// be in a pipe. The folder may be "/".
func Within(root string) (fs.FS, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	return confined{dir}, nil
}

type confined struct{ dir *os.File }

// Open implements fs.FS.
func (w confined) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	fd, err := unix.Openat2(int(w.dir.Fd()), name, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
