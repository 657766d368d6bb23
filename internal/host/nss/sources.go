package nss

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdlib.h>

// The functions of a source, by their names in the GNU C Library's manual,
// "NSS Module Function Internals". The first fits _getgrnam_r too.
typedef enum nss_status by_name(const char *, void *, char *, size_t, int *);
typedef enum nss_status by_uid(uid_t, struct passwd *, char *, size_t, int *);
typedef enum nss_status groups_of(const char *, gid_t, long *, long *, gid_t **, long, int *);

enum { ROOM = 4 << 10, MOST_ROOM = 16 << 20 };

// ask calls a function that looks for one entry, with room as it is needed.
static enum nss_status ask(void *function, const char *name, uid_t uid, int *err)
{
	union { struct passwd pw; struct group gr; } entry;
	enum nss_status status = NSS_STATUS_TRYAGAIN;

	*err = ERANGE;
	for (size_t len = ROOM; status == NSS_STATUS_TRYAGAIN && *err == ERANGE && len <= MOST_ROOM; len *= 4) {
		char *buf = malloc(len);
		if (buf == NULL) {
			*err = ENOMEM;
			return NSS_STATUS_TRYAGAIN;
		}
		*err = 0;
		status = name != NULL ? ((by_name *)function)(name, &entry, buf, len, err)
				      : ((by_uid *)function)(uid, &entry.pw, buf, len, err);
		free(buf);
	}
	return status;
}

// ask_groups calls a function that lists the groups of an account, and forgets them.
static enum nss_status ask_groups(void *function, const char *name, int *err)
{
	long start = 0, size = 64;
	gid_t *gids = malloc(size * sizeof(*gids));

	*err = ENOMEM;
	if (gids == NULL)
		return NSS_STATUS_TRYAGAIN;
	*err = 0;
	enum nss_status status = ((groups_of *)function)(name, (gid_t)-1, &start, &size, &gids, -1, err);
	free(gids);
	return status;
}
*/
import "C"

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// glibc returns the result of the last source only. If one before it does not answer (its
// daemon is gone, its file cannot be opened for want of descriptors), and the last says
// "not found", glibc says "not found". So before an entry counts as surely absent, each
// source is asked by itself.

// A database is a line of nsswitch.conf(5).
type database string

const (
	passwd     database = "passwd"
	group      database = "group"
	initgroups database = "initgroups" // where it is missing, group
)

// configFile is where the sources are named.
var configFile = "/etc/nsswitch.conf"

// A source answers for a database.
type source struct {
	name string
	last bool // if it answers that there is none, nobody else is asked
}

// sources returns what answers for db, in order.
func sources(db database) ([]source, error) {
	text, err := os.ReadFile(configFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if line, ok := lineOf(text, db); ok {
		return parseSources(line), nil
	}
	if db == initgroups {
		return sources(group)
	}
	return []source{{name: "files"}}, nil // nss/nss_database.c
}

// lineOf returns what the file says of db: the last line of several, as glibc reads it
// (nss/nss_database.c).
func lineOf(text []byte, db database) (found string, ok bool) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		name, rest, is := strings.Cut(strings.TrimSpace(line), ":")
		if is && strings.TrimSpace(name) == string(db) {
			found, ok = rest, true
		}
	}
	return found, ok
}

// parseSources reads "files sss [NOTFOUND=return] ldap". Of what stands in
// brackets only what happens after "not found" is of interest here.
func parseSources(line string) []source {
	var all []source
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if rest, ok := strings.CutPrefix(line, "["); ok {
			actions, after, _ := strings.Cut(rest, "]")
			if len(all) > 0 {
				all[len(all)-1].last = endsAtNone(actions)
			}
			line = after
			continue
		}
		end := strings.IndexAny(line, " \t[")
		if end < 0 {
			end = len(line)
		}
		all = append(all, source{name: line[:end]})
		line = line[end:]
	}
	return all
}

// endsAtNone says whether of some actions, "NOTFOUND=return !UNAVAIL=continue", that
// for "not found" is to return.
func endsAtNone(actions string) bool {
	last := false
	for _, word := range strings.Fields(strings.ToLower(actions)) {
		status, action, _ := strings.Cut(word, "=")
		others, not := strings.CutPrefix(status, "!")
		if status == "notfound" || not && others != "notfound" {
			last = action == "return"
		}
	}
	return last
}

// A question is what is asked of each source.
type question struct {
	db       database
	function string // its name, behind "_nss_SOURCE_"
	name     string // of an account or group; empty: by uid
	id       uint32 // uid
}

// noneBut returns nil if each source of the database answers that there is no such entry.
// A source that is not installed is left out, as glibc leaves it out.
func (q question) noneBut() error { return q.each(false) }

// answered returns nil if each source answers, whatever it says.
func (q question) answered() error { return q.each(true) }

func (q question) each(whatever bool) error {
	all, err := sources(q.db)
	if err != nil {
		return fmt.Errorf("NSS cannot say: %w", err)
	}
	for _, s := range all {
		status, err := q.ask(s.name)
		switch {
		case errors.Is(err, errAbsent) || status == success && whatever:
			continue
		case err != nil:
			return fmt.Errorf("NSS cannot say: source %q of %q: %w", s.name, q.db, err)
		case status == success:
			return fmt.Errorf("NSS cannot say: source %q of %q knows it, and was not asked", s.name, q.db)
		case s.last:
			return nil
		}
	}
	return nil
}

const success = C.NSS_STATUS_SUCCESS

// errAbsent: the source is not installed, or does not have that function.
var errAbsent = errors.New("not installed")

// ask asks one source. Its error is nil if it answered.
func (q question) ask(name string) (C.enum_nss_status, error) {
	function, err := find(name, q.function)
	if err != nil {
		return 0, err
	}
	var cname *C.char
	if q.name != "" {
		cname = C.CString(q.name)
		defer C.free(unsafe.Pointer(cname))
	}
	var errno C.int
	var status C.enum_nss_status
	if q.db == initgroups {
		status = C.ask_groups(function, cname, &errno)
	} else {
		status = C.ask(function, cname, C.uid_t(q.id), &errno)
	}
	if status == C.NSS_STATUS_NOTFOUND || status == success {
		return status, nil
	}
	if errno == 0 {
		return status, errors.New("it does not answer")
	}
	if name == "systemd" && q.db == initgroups && syscall.Errno(errno) == syscall.ESRCH {
		return C.NSS_STATUS_NOTFOUND, nil // nss-systemd(8) where nobody runs userdb
	}
	return status, syscall.Errno(errno)
}

// find returns a function of a source. The library stays loaded, as glibc keeps it.
func find(name, function string) (unsafe.Pointer, error) {
	library := C.CString("libnss_" + name + ".so.2")
	defer C.free(unsafe.Pointer(library))
	symbol := C.CString("_nss_" + name + "_" + function)
	defer C.free(unsafe.Pointer(symbol))
	if p := C.dlsym(nil, symbol); p != nil { // RTLD_DEFAULT: "files" is part of libc
		return p, nil
	}
	handle := C.dlopen(library, C.RTLD_NOW)
	if handle == nil {
		why := C.GoString(C.dlerror())
		if strings.Contains(why, "No such file") {
			return nil, errAbsent
		}
		return nil, errors.New(why)
	}
	p := C.dlsym(handle, symbol)
	if p == nil {
		return nil, errAbsent
	}
	return p, nil
}
