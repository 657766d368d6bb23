package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// checkUser refuses root where dir is another user's, whose daemon could not open what this one
// makes.
func checkUser(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return nil // of what is wrong with it others say
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return fmt.Errorf("%q belongs to uid %d, and this is root: start mfad as that user, as its unit does: systemctl start mfad; "+
			"if it is to run as root from now on: chown -R 0 %[1]s", dir, st.Uid)
	}
	return nil
}

// checkOwner refuses a file or folder that belongs to neither this user nor root, or
// that group or others may write. The message says how to mend it.
func checkOwner(path string, info os.FileInfo) error {
	uid := uint32(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid = st.Uid
	}
	return checkOwnerOf(path, uid, info.Mode().Perm(), os.Geteuid())
}

// checkOwnerOf is checkOwner for the file of an owner with those permissions, and for the user self.
func checkOwnerOf(path string, uid uint32, perm os.FileMode, self int) error {
	if uid != 0 && int(uid) != self {
		return fmt.Errorf("%q belongs to uid %d, who could change it: run chown %d %s", path, uid, self, path)
	}
	if perm&0o022 != 0 {
		return fmt.Errorf("%q has mode %04o, so others could change it: run chmod go-w %s", path, perm, path)
	}
	return nil
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

// lacksInodes reports whether the file system of a file can take no more files, however much
// room there is.
func lacksInodes(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(filepath.Dir(path), &fs) == nil && fs.Files > 0 && fs.Ffree == 0 && fs.Bavail > 0
}

// explain adds to an error what an administrator can do about it.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC) && lacksInodes(path):
		return fmt.Errorf("the file system of %q has no free inodes (df -i), remove files from it: %w", path, err)
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("the file system of %q is full, make room on it: %w", path, err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("the file system of %q takes no writes; see dmesg, mend the disk, mount it writable again and restart mfad: %w", path, err)
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
