package doctor

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Within returns the files below root as a machine with that root folder sees them: links,
// also absolute ones, stay within (RESOLVE_IN_ROOT of openat2(2)). An open does not wait,
// as it would for a pipe. The folder may be "/".
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
