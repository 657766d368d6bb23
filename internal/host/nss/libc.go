package nss

/*
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_BUFFER = 4 << 10,  // of an entry, in bytes
	LAST_BUFFER = 16 << 20,  // a group has all its members in its entry
	INTERRUPTIONS = 100,     // of one look-up by signals
};

// The result of a look-up: err, or else an entry if found is set, whose name is the
// caller's to free.
struct entry {
	int err, found;
	id_t uid, gid;
	char *name;
};

enum kind { ACCOUNT_BY_NAME, ACCOUNT_BY_UID, GROUP_BY_NAME };

// once looks once, with that buffer.
static int once(enum kind kind, const char *name, uid_t uid, char *buf, size_t len, struct entry *e)
{
	struct passwd pw, *account = NULL;
	struct group gr, *group = NULL;
	int err = EINVAL;

	switch (kind) {
	case ACCOUNT_BY_NAME:
		err = getpwnam_r(name, &pw, buf, len, &account);
		break;
	case ACCOUNT_BY_UID:
		err = getpwuid_r(uid, &pw, buf, len, &account);
		break;
	case GROUP_BY_NAME:
		err = getgrnam_r(name, &gr, buf, len, &group);
		break;
	}
	if (err == 0 && account != NULL) {
		e->uid = pw.pw_uid;
		e->gid = pw.pw_gid;
		e->name = strdup(pw.pw_name);
		e->found = e->name != NULL;
		return e->found ? 0 : ENOMEM;
	}
	if (err == 0 && group != NULL) {
		e->gid = gr.gr_gid;
		e->found = 1;
	}
	return err;
}

// look looks until there is a result, with room as it is needed.
static struct entry look(enum kind kind, const char *name, uid_t uid)
{
	struct entry e = { .err = ERANGE };
	int interrupted = 0;

	for (size_t len = FIRST_BUFFER; e.err == ERANGE && len <= LAST_BUFFER; len *= 4) {
		char *buf = malloc(len);
		if (buf == NULL) {
			e.err = ENOMEM;
			break;
		}
		do {
			e.err = once(kind, name, uid, buf, len, &e);
		} while (e.err == EINTR && ++interrupted < INTERRUPTIONS);
		free(buf);
	}
	return e;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// An account is an entry of passwd(5), of which there is more than we need.
type account struct {
	name     string
	uid, gid uint32
}

// errOf returns the error of the look-up q; none if there is no entry. Only 0 means that
// there is no entry. A source that does not answer may cause any errno, also ENOENT, as
// for a socket that is gone. getpwnam(3), under ERRORS, lists some that other systems take
// for "not found"; here none is.
func errOf(e C.struct_entry, q question, none error) error {
	switch {
	case e.err != 0:
		return fmt.Errorf("NSS cannot say: %w", syscall.Errno(e.err))
	case e.found != 0:
		return nil
	}
	if err := q.noneBut(); err != nil {
		return err
	}
	return none
}

func accountByName(name string) (account, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	e := C.look(C.ACCOUNT_BY_NAME, cname, 0)
	return accountOf(e, question{db: passwd, function: "getpwnam_r", name: name})
}

func accountByUID(uid uint32) (account, error) {
	e := C.look(C.ACCOUNT_BY_UID, nil, C.uid_t(uid))
	return accountOf(e, question{db: passwd, function: "getpwuid_r", id: uid})
}

func accountOf(e C.struct_entry, q question) (account, error) {
	defer C.free(unsafe.Pointer(e.name))
	if err := errOf(e, q, ErrNoAccount); err != nil {
		return account{}, err
	}
	return account{C.GoString(e.name), uint32(e.uid), uint32(e.gid)}, nil
}

func groupByName(name string) (uint32, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	e := C.look(C.GROUP_BY_NAME, cname, 0)
	return uint32(e.gid), errOf(e, question{db: group, function: "getgrnam_r", name: name}, ErrNoGroup)
}

// maxGroups is how many groups one account can be in (NGROUPS_MAX in limits.h).
const maxGroups = 65536

// groupsOf calls getgrouplist(3). That leaves out the groups of a source that does not
// answer, and does not report it: see Groups.Whole.
func groupsOf(a account) ([]uint32, error) {
	cname := C.CString(a.name)
	defer C.free(unsafe.Pointer(cname))
	for n := C.int(64); n <= maxGroups; n *= 4 {
		gids, got := make([]uint32, n), n
		if C.getgrouplist(cname, C.gid_t(a.gid), (*C.gid_t)(unsafe.Pointer(&gids[0])), &got) >= 0 {
			return gids[:got:got], nil
		}
	}
	return nil, errors.New("NSS cannot say: there are too many")
}
