package login

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/store"
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

// state reads what is remembered of the user.
func (l *attempt) state(ctx context.Context) (mfa.State, error) {
	if l.nobody != nil {
		return *l.nobody, nil
	}
	st, err := l.deps.Records.State(ctx, l.id.Name)
	if err == nil && st.UID != l.id.UID {
		return mfa.State{UID: l.id.UID}, nil
	}
	return st, err
}

// update changes what is remembered of the user, in one compare-and-swap. fn
// may run several times. For who is no account nothing is stored of them, but
// as much is written, so that the time tells nothing.
func (l *attempt) update(ctx context.Context, fn func(*mfa.State) error) error {
	if l.nobody != nil {
		if err := fn(l.nobody); err != nil {
			return err
		}
		return store.Update(ctx, l.deps.Records.S, decoyKey, func([]byte) ([]byte, error) { return []byte(rand.Text()), nil })
	}
	return l.deps.Records.UpdateState(ctx, l.id.Name, func(st *mfa.State) error {
		if st.UID != l.id.UID {
			*st = mfa.State{UID: l.id.UID} // counted for a former account of this name
		}
		return fn(st)
	})
}

// decoyKey is overwritten in place of the state of who is no account.
const decoyKey = store.Meta + "decoy"

// decoyAddress is an address for who has none: always the same for a name, and
// masked like any other. Nothing is sent there.
func (l *attempt) decoyAddress() mfa.Address {
	mac := l.deps.Key.MAC("decoy address", []byte(l.id.Name))
	letter := func(b byte) string { return string(rune('a' + b%26)) }
	return mfa.Address{Address: letter(mac[0]) + "x" + letter(mac[1]) + "@" + l.cfg.MailDomain, Confirmed: l.deps.Now()}
}
