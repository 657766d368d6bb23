package login

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"mfa/internal/mfa"
)

// A Lookup turns a name from outside into the account NSS knows by it. Its
// error wraps ErrNoAccount when there is surely none; any other error means
// that NSS could not say, which never counts as "no account".
type Lookup func(name string) (mfa.Identity, error)

// ErrNoAccount means that NSS knows no account of that name.
var ErrNoAccount = errors.New("no such account")

// LookupNSS asks the system's NSS (nsswitch.conf(5)), through libc. It may be
// called from many goroutines.
func LookupNSS(name string) (mfa.Identity, error) {
	if strings.ContainsRune(name, 0) {
		return mfa.Identity{}, fmt.Errorf("look up user %q: %w", name, ErrNoAccount) // libc would stop reading there
	}
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	switch {
	case errors.As(err, &unknown):
		return mfa.Identity{}, fmt.Errorf("look up user %q: %w", name, ErrNoAccount)
	case err != nil:
		return mfa.Identity{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return mfa.Identity{}, fmt.Errorf("look up user %q: uid %q: %w", name, u.Uid, err)
	}
	return mfa.Identity{Name: u.Username, UID: uint32(uid)}, nil
}
