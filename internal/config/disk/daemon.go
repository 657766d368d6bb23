package disk

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mfa/internal/host/nss"
	"mfa/internal/store"
)

// asDaemon calls look, and returns its error. Where root calls it and the store is another
// user's, files are opened with that user's rights, as the daemon will (setfsuid(2)): what root
// can read the daemon may not. This holds for look itself, and for no goroutine that it starts.
func asDaemon(cfg store.Config, look func() error) error {
	uid := daemonOf(cfg)
	if uid == os.Geteuid() {
		return look()
	}
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and its rights with it
		err := takeRights(uid)
		if err == nil {
			err = look()
		}
		ended <- err
	}()
	return <-ended
}

// takeRights gives this thread the rights on files that a user has, with all their groups.
func takeRights(uid int) error {
	ctx := context.Background()
	id, err := nss.LookupUID(ctx, uint32(uid))
	if err != nil {
		return fmt.Errorf("find whose the store is: %w", err)
	}
	groups, err := nss.Groups{}.Of(ctx, id.Name) // the first is that of the account
	if err != nil || len(groups) == 0 {
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
