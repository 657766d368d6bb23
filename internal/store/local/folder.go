package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
)

// makeFolder makes dir, mode 0700, if it is missing, and checks it with checkOwner.
func makeFolder(dir string) error {
	_, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := file.SyncFolder(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", dir)
	}
	return checkOwner(dir, info)
}

// checkOwner refuses a file or folder that belongs to neither this user nor root, or
// that group or others may write. The message says how to mend it.
func checkOwner(path string, info os.FileInfo) error {
	uid := uint32(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid = st.Uid
	}
	return checkOwnerOf(path, uid, info.Mode().Perm())
}

// checkOwnerOf is checkOwner for the file of an owner with those permissions.
func checkOwnerOf(path string, uid uint32, perm os.FileMode) error {
	if uid != 0 && int(uid) != os.Geteuid() {
		return fmt.Errorf("%q belongs to uid %d, who could change it: run chown %d %s",
			path, uid, os.Geteuid(), path)
	}
	if perm&0o022 != 0 {
		return fmt.Errorf("%q has mode %04o, so others could change it: run chmod go-w %s", path, perm, path)
	}
	return nil
}

// lockFolder takes dir for this process. The lock is flock(2) on DIR/lock: it
// ends with the process, however that ends. The file stays, with the pid of its
// holder in it for people to read.
func lockFolder(dir string) (*os.File, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, unix.EROFS) {
		f, err = os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0) // flock(2) asks for no more
	}
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		return nil, errors.Join(describeLock(dir, f, err), f.Close())
	}
	// The pid is a courtesy: on a full disk the lock holds without it.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// unlockFolder releases the lock. Closing alone would leave it with a child process that
// is between its fork and its exec.
func unlockFolder(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// flock takes the lock without waiting.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// describeLock returns err with the process that holds the lock.
func describeLock(dir string, f *os.File, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	text, _ := io.ReadAll(io.LimitReader(f, 20))
	if pid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 31); err == nil {
		return fmt.Errorf("folder %q is in use by another daemon, process %d", dir, pid)
	}
	return fmt.Errorf("folder %q is in use by another daemon", dir)
}

// samePlace returns an error unless path is still the file that was opened: a file that
// was moved away must not be read and written on.
func samePlace(path string, opened os.FileInfo) error {
	info, err := os.Stat(path)
	if err == nil && !os.SameFile(info, opened) {
		err = &os.PathError{Op: "find", Path: path, Err: errors.New("replaced while in use; restart the daemon")}
	}
	if err != nil {
		return fmt.Errorf("store out of reach: %w", err)
	}
	return nil
}

// explain adds to an error what an administrator can do about it.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("the file system of %q is full, make room on it: %w", path, err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("the file system of %q takes no writes; see dmesg, mend the disk and mount it writable again: %w", path, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		if of, ok := errors.AsType[*os.PathError](err); ok {
			path = of.Path
		}
		return fmt.Errorf("%w; if the file is root's alone, run chown --reference=%s %s", err, filepath.Dir(path), path)
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("the disk quota of %q is used up, raise it: %w", path, err)
	}
	return err
}
