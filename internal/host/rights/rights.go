// Package rights opens files with the rights of another user. A daemon that is not root may
// not read what root can, so a look at its files by root says nothing of its next start.
//
// What to know before trusting it: the rights are those of one thread of the kernel
// (setfsuid(2)). They hold for what the function itself opens, and for no goroutine that it
// starts.
package rights

import (
	"context"
	"fmt"
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

// take gives this thread the rights on files of a user.
func take(uid int) error {
	ctx := context.Background()
	id, err := nss.LookupUID(ctx, uint32(uid))
	if err != nil {
		return fmt.Errorf("find the account of uid %d: %w", uid, err)
	}
	groups, err := nss.Groups{}.Of(ctx, id.Name) // the first is that of the account
	if err == nil && len(groups) == 0 {
		err = nss.ErrNoGroup
	}
	if err != nil {
		return fmt.Errorf("find the groups of %q: %w", id.Name, err)
	}
	// The kernel's call is of this thread alone; that of package syscall is of all.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
		return fmt.Errorf("take the groups of %q: %w", id.Name, errno)
	}
	if err := syscall.Setfsgid(int(groups[0])); err != nil {
		return fmt.Errorf("take the group of %q: %w", id.Name, err)
	}
	if err := syscall.Setfsuid(uid); err != nil {
		return fmt.Errorf("take the rights of %q: %w", id.Name, err)
	}
	return nil
}
