package disk

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

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
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Errorf("the store belongs to uid %d: %w", uid, err)
	}
	names, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("find the groups of %q: %w", u.Username, err)
	}
	groups := []uint32{}
	for _, name := range append([]string{u.Gid}, names...) {
		gid, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return fmt.Errorf("find the groups of %q: %w", u.Username, err)
		}
		groups = append(groups, uint32(gid))
	}
	// The kernel's call is of this thread alone; that of package syscall is of all.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
		return fmt.Errorf("take the groups of %q: %w", u.Username, errno)
	}
	if err := syscall.Setfsgid(int(groups[0])); err != nil {
		return fmt.Errorf("take the group of %q: %w", u.Username, err)
	}
	if err := syscall.Setfsuid(uid); err != nil {
		return fmt.Errorf("take the rights of %q: %w", u.Username, err)
	}
	return nil
}
