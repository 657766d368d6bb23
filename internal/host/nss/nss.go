// Package nss is the one place where accounts and groups are looked up, by the
// system's NSS (nsswitch.conf(5)), through libc.
//
// What to know before trusting it: a look-up has three results. There is an entry;
// there is surely none (ErrNoAccount, ErrNoGroup); or it is not known, which is
// any other error and never counts as "none". An account has its uid and its
// canonical name, the one that getpwuid(3) gives for the uid. If a source hangs, a look-up
// waits no longer than Patience or its context. All functions may be called from many
// goroutines.
package nss

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mfa/internal/mfa"
)

var (
	// ErrNoAccount means that there is surely no such account.
	ErrNoAccount = errors.New("no such account")
	// ErrNoGroup means that there is surely no such group.
	ErrNoGroup = errors.New("no such group")
	// ErrContradiction means that names and uids do not lead to each other: the
	// uid of a name has another name, which belongs to another uid or to nobody.
	ErrContradiction = errors.New("names and uids contradict each other, mend that in the directory or in /etc/passwd")
)

// maxName bounds a name, in bytes. No account has a longer one (LOGIN_NAME_MAX in
// limits.h(0p) is 256 on Linux).
const maxName = 256

// isName reports whether s can be looked up at all: libc would read it only to the first
// NUL.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsRune(s, 0)
}

// Lookup returns the account of a name from outside: its uid, and its canonical name,
// which may be another name. Two names of one uid mean the same account. The error wraps
// ErrNoAccount, ErrContradiction, or neither if it is not known.
func Lookup(ctx context.Context, name string) (mfa.Identity, error) {
	if !isName(name) {
		return mfa.Identity{}, fmt.Errorf("look up user %q: %w", name, ErrNoAccount)
	}
	if id, ok := settled.account(name); ok {
		return id, nil
	}
	id, err := wait(ctx, "user "+name, func() (mfa.Identity, error) {
		a, err := accountByName(name)
		if err != nil {
			return mfa.Identity{}, err
		}
		id, err := canonical(a.uid, name)
		if errors.Is(err, ErrNoAccount) {
			err = fmt.Errorf("its uid %d has no name: %w", a.uid, ErrContradiction)
		}
		return id, err
	})
	if err != nil {
		return mfa.Identity{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	return id, nil
}

// LookupUID returns the account of a uid, with its canonical name. Its errors are those of
// Lookup.
func LookupUID(ctx context.Context, uid uint32) (mfa.Identity, error) {
	id, err := wait(ctx, "uid "+strconv.FormatUint(uint64(uid), 10), func() (mfa.Identity, error) { return canonical(uid, "") })
	if err != nil {
		return mfa.Identity{}, fmt.Errorf("look up uid %d: %w", uid, err)
	}
	return id, nil
}

// canonical returns the account of uid. Its name must lead back to that uid, as the name
// known does: otherwise the name is another account's, and the two would be taken for
// one.
func canonical(uid uint32, known string) (mfa.Identity, error) {
	a, err := accountByUID(uid)
	if err != nil {
		return mfa.Identity{}, err
	}
	back := a
	if a.name != known {
		back, err = accountByName(a.name)
	}
	switch {
	case errors.Is(err, ErrNoAccount):
		return mfa.Identity{}, fmt.Errorf("uid %d has the name %q, which nobody has: %w", uid, a.name, ErrContradiction)
	case err != nil:
		return mfa.Identity{}, err
	case back.uid != uid || a.uid != uid:
		return mfa.Identity{}, fmt.Errorf("uid %d has the name %q, which is that of uid %d: %w", uid, a.name, back.uid, ErrContradiction)
	}
	return mfa.Identity{Name: a.name, UID: uid}, nil
}

// Groups looks up groups. Groups within groups count if the source resolves them, as for
// the login itself.
type Groups struct{}

// ID returns the gid of the group of that name. The error wraps ErrNoGroup if there is
// surely none.
func (Groups) ID(ctx context.Context, name string) (uint32, error) {
	if !isName(name) {
		return 0, fmt.Errorf("look up group %q: %w", name, ErrNoGroup)
	}
	gid, err := wait(ctx, "group "+name, func() (uint32, error) { return groupByName(name) })
	if err != nil {
		return 0, fmt.Errorf("look up group %q: %w", name, err)
	}
	return gid, nil
}

// Of returns the gids of the groups that the account is in, the primary one included. The
// groups of a source that does not answer are missing; see Whole. The caller must not
// change the slice.
func (Groups) Of(ctx context.Context, account string) ([]uint32, error) {
	if !isName(account) {
		return nil, fmt.Errorf("look up the groups of %q: %w", account, ErrNoAccount)
	}
	gids, err := wait(ctx, "groups of "+account, func() ([]uint32, error) {
		a, err := accountByName(account)
		if err != nil {
			return nil, err
		}
		return groupsOf(a)
	})
	if err != nil {
		return nil, fmt.Errorf("look up the groups of %q: %w", account, err)
	}
	return gids, nil
}

// Whole returns nil if no source that does not answer can hide a membership of the
// account in the group. A group in /etc/group needs no other source: a machine may list a
// source that was never set up, and its own groups must work all the same. For other
// groups every source must answer.
func (Groups) Whole(ctx context.Context, account, name string) error {
	if !isName(account) || !isName(name) {
		return fmt.Errorf("look up whether %q is in group %q: %w", account, name, ErrNoAccount)
	}
	_, err := wait(ctx, "membership of "+account+" in "+name, func() (struct{}, error) {
		status, err := question{db: group, function: "getgrnam_r", name: name}.ask("files")
		if err == nil && status == success {
			return struct{}{}, nil
		}
		return struct{}{}, question{db: initgroups, function: "initgroups_dyn", name: account}.answered()
	})
	if err != nil {
		return fmt.Errorf("look up whether %q is in group %q: %w", account, name, err)
	}
	return nil
}
