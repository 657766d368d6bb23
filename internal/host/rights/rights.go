// Package rights opens files with the rights of another user. A daemon that is not root may
// not read what root can, so a look at its files by root says nothing of its next start.
//
// What to know before trusting it: the rights are those of one thread of the kernel
// (setfsuid(2)). They hold for what the function itself opens, and for no goroutine that it
// starts.
package rights

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mfa/internal/host/nss"
)

// OwnerOf returns the uid of the owner of path where root asks, else that of this process; that
// of this process too, if there is no such path.
func OwnerOf(path string) int {
	if info, err := os.Stat(path); err == nil && os.Geteuid() == 0 {
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	return os.Geteuid()
}

// As calls fn and returns its error. Where the uid is not that of this process, which is root
// then, fn opens files with the rights of that user, with all their groups.
func As(uid int, fn func() error) error {
	if uid == os.Geteuid() {
		return fn()
	}
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and its rights with it
		err := take(uid)
		if err == nil {
			err = fn()
		}
		ended <- err
	}()
	return <-ended
}

// May returns an error, with fs.ErrPermission, if what is at path may not be used by this thread
// so: mode is a sum of unix.R_OK, unix.W_OK and unix.X_OK. Where there is nothing, or a disk that
// takes no writes, it returns nil. See faccessat(2), AT_EACCESS.
func May(path string, mode uint32) error {
	err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
	if errors.Is(err, fs.ErrPermission) {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}

// MayRun returns an error if this thread may not run the program at path.
func MayRun(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err // the path is said once
	}
	if err != nil {
		return fmt.Errorf("run %q: %w", path, err)
	}
	return nil
}

// take gives this thread the rights on files of a user.
func take(uid int) error {
	ctx := context.Background()
	groups, err := groupsOf(ctx, uid)
	if err != nil {
		return err
	}
	// The kernel's call is of this thread alone; that of package syscall is of all.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
		return fmt.Errorf("take the groups of uid %d: %w", uid, errno)
	}
	if err := syscall.Setfsgid(int(groups[0])); err != nil {
		return fmt.Errorf("take the group of uid %d: %w", uid, err)
	}
	if err := syscall.Setfsuid(uid); err != nil {
		return fmt.Errorf("take the rights of uid %d: %w", uid, err)
	}
	return nil
}

// noGroup is Debian's nogroup, and the kernel's for a group that it cannot name (user_namespaces(7)).
const noGroup = 65534

// groupsOf returns the groups of a user, that of the account first. A uid without an account has
// no rights by a group.
func groupsOf(ctx context.Context, uid int) ([]uint32, error) {
	id, err := nss.LookupUID(ctx, uint32(uid))
	if errors.Is(err, nss.ErrNoAccount) {
		return []uint32{noGroup}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the account of uid %d: %w", uid, err)
	}
	groups, err := nss.Groups{}.Of(ctx, id.Name)
	if err == nil && len(groups) == 0 {
		err = nss.ErrNoGroup
	}
	if err != nil {
		return nil, fmt.Errorf("find the groups of %q: %w", id.Name, err)
	}
	return groups, nil
}
