package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPrivate bounds a file with secrets of one user, in bytes.
const maxPrivate = 64 << 10

// A Private is the content and the owner of a file with secrets.
type Private struct {
	Text  string
	Owner uint32 // uid
}

// ReadPrivate reads a file of up to 64 KiB that only its owner can read; mine must be true
// for the owner's uid. Root reads what users wrote, so no part of the path may be a
// symbolic link, which could lead root to another user's file (CVE-2024-47191). The file
// is opened once, and the open file is checked, not its name.
func ReadPrivate(path string, mine func(uid uint32) bool) (Private, error) {
	return ReadPrivateUpTo(maxPrivate, path, mine)
}

// OpenToAll reports whether every user may read the file at path, as far as modes say: its own and
// those of the folders above it. It is false if they cannot be looked at.
func OpenToAll(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	for need := os.FileMode(0o004); err == nil; need = 0o001 {
		var info os.FileInfo
		if info, err = os.Stat(path); err != nil || info.Mode().Perm()&need == 0 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
		path = filepath.Dir(path)
	}
	return false
}

// ReadPrivateUpTo is ReadPrivate with another bound, in bytes.
func ReadPrivateUpTo(most int64, path string, mine func(uid uint32) bool) (Private, error) {
	f, err := openPlain(path)
	if errors.Is(err, unix.ELOOP) {
		return Private{}, fmt.Errorf("read %q: a symbolic link is on the way to it", path)
	}
	if err != nil {
		return Private{}, &os.PathError{Op: "read", Path: path, Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Private{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	switch perm := info.Mode().Perm(); {
	case !info.Mode().IsRegular():
		return Private{}, fmt.Errorf("read %q: not a plain file", path)
	case perm&0o077 != 0:
		return Private{}, fmt.Errorf("read %q: mode %04o is open to others: run chmod go= on it", path, perm)
	case !mine(st.Uid):
		return Private{}, fmt.Errorf("read %q: it belongs to uid %d", path, st.Uid)
	case st.Nlink != 1:
		return Private{}, fmt.Errorf("read %q: the file has another name too (a hard link)", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("read %q: more than %d bytes", path, most)
	}
	return Private{string(text), st.Uid}, err
}

// openFlags make an open that follows nothing, waits for no pipe and takes no
// terminal.
const openFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// openPlain opens a file without following a symbolic link anywhere in its path.
func openPlain(path string) (*os.File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: openFlags, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // Linux before 5.6, or a sandbox that does not know the call
		fd, err = openStepwise(path)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openStepwise is openat2(2) with RESOLVE_NO_SYMLINKS for kernels without it:
// folder by folder. The path is absolute and clean.
func openStepwise(path string) (int, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	dir, name := filepath.Split(path)
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		next, err := unix.Openat(at, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOTDIR) && isLink(at, part) {
			err = unix.ELOOP
		}
		_ = unix.Close(at)
		if err != nil {
			return -1, err
		}
		at = next
	}
	defer func() { _ = unix.Close(at) }()
	return unix.Openat(at, name, openFlags, 0)
}

// isLink says whether name in the folder at is a symbolic link.
func isLink(at int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// RootOrMe reports whether uid is root's or that of this process, for ReadPrivate.
func RootOrMe(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }
