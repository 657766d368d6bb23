package login

/*
#include <errno.h>
#include <grp.h>
#include <stddef.h>

// gid_of returns 0 and sets *found, or the error of getgrnam_r(3).
static int gid_of(const char *name, char *buf, size_t len, gid_t *gid, int *found)
{
	struct group entry, *result = NULL;
	int err;

	do {
		err = getgrnam_r(name, &entry, buf, len, &result);
	} while (err == EINTR);
	*found = err == 0 && result != NULL;
	if (*found)
		*gid = entry.gr_gid;
	return err;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Groups is what is asked about groups. It may be used from many goroutines. An
// error that does not wrap ErrNoGroup means that nobody could say, which never
// counts as "not a member".
type Groups interface {
	// ID returns the number of the group of that name. Its error wraps
	// ErrNoGroup when there is surely none.
	ID(name string) (uint32, error)
	// Of returns the numbers of all groups that the account is in, the primary
	// one included.
	Of(account string) ([]uint32, error)
}

// ErrNoGroup means that NSS knows no group of that name.
var ErrNoGroup = errors.New("no such group")

// NSSGroups asks the system's NSS (nsswitch.conf(5)), through libc. So groups
// within groups count where the source of the groups resolves them, as the
// login itself does.
//
// getgrouplist(3) leaves out what a source that does not answer would have said,
// and reports nothing. What saves us is that the account itself comes from the
// same source, and is looked up before: without it there is no account, and no
// login.
type NSSGroups struct{}

// The sizes of entry to make room for, in bytes. A group has all its members in it.
const (
	entrySize    = 16 << 10
	maxEntrySize = 16 << 20
)

// ID asks getgrnam_r(3). os/user does not do here: it takes ENOENT for "no such
// group", but glibc says that with 0, and passes on the errno of a source that
// does not answer, which is ENOENT where its socket is gone.
func (NSSGroups) ID(name string) (uint32, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return 0, fmt.Errorf("look up group %q: %w", name, ErrNoGroup) // libc would stop reading there
	}
	cname := append([]byte(name), 0)
	for size := entrySize; size <= maxEntrySize; size *= 4 {
		buf := make([]byte, size)
		var gid C.gid_t
		var found C.int
		err := syscall.Errno(C.gid_of((*C.char)(unsafe.Pointer(&cname[0])), (*C.char)(unsafe.Pointer(&buf[0])), C.size_t(size), &gid, &found))
		switch {
		case err == syscall.ERANGE:
			continue
		case err != 0:
			return 0, fmt.Errorf("look up group %q: NSS cannot say: %w", name, err)
		case found == 0:
			return 0, fmt.Errorf("look up group %q: %w", name, ErrNoGroup)
		}
		return uint32(gid), nil
	}
	return 0, fmt.Errorf("look up group %q: its entry has over %d bytes", name, maxEntrySize)
}

// Of asks getgrouplist(3).
func (NSSGroups) Of(account string) ([]uint32, error) {
	u, err := user.Lookup(account)
	if err != nil {
		return nil, fmt.Errorf("look up the groups of %q: %w", account, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("look up the groups of %q: %w", account, err)
	}
	gids := make([]uint32, 0, len(ids)+1)
	for _, id := range ids {
		gid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("look up the groups of %q: gid %q: %w", account, id, err)
		}
		gids = append(gids, uint32(gid))
	}
	return gids, nil
}
