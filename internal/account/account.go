package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// An Account reads and changes the State of one account, by name and uid, or of a name
// that has no account. What was counted for a former account of the same name does not
// count. It is for one login, and may be used from many goroutines: a code that is on its
// way reports to the same Account as the conversation.
type Account struct {
	ID      mfa.Identity
	records Records
	unknown *UnknownUsers // holds the State of a name without an account; else nil
	known   decoded       // the State as it was read last
	noted   atomic.Bool   // the uid is (Records.NoteUID): the account has an enrollment
}

// decoded returns the State as it was read last; nil for no Account.
func (a *Account) decoded() *decoded {
	if a == nil {
		return nil
	}
	return &a.known
}

// isNoted says whether it is known that the uid is noted.
func (a *Account) isNoted() bool { return a != nil && a.noted.Load() }

// Account returns the account of id. It reads nothing yet.
func (r Records) Account(id mfa.Identity) *Account { return &Account{ID: id, records: r} }

// NewUnknownAccount is UnknownAccount for a name that is remembered only as long as the Account.
func (r Records) NewUnknownAccount(name string) *Account {
	return r.UnknownAccount(NewUnknownUsers(), name)
}

// UnknownAccount returns the Account of a name that has no account. Its State is kept in in,
// never in the store; but as much is read and written there as for others, so that the time
// does not tell which names exist.
func (r Records) UnknownAccount(in *UnknownUsers, name string) *Account {
	return &Account{ID: mfa.Identity{Name: name}, records: r, unknown: in}
}

// IsUnknown reports whether the name has no account.
func (a *Account) IsUnknown() bool { return a.unknown != nil }

// State returns what is remembered of the account, as Records.State does. A record of
// another uid is not returned: the account begins anew.
func (a *Account) State(ctx context.Context) (mfa.State, error) {
	if a.unknown != nil {
		if _, err := a.records.S.Get(ctx, a.records.dummyRead(a.ID.Name)); err != nil && !errors.Is(err, store.ErrNotFound) {
			return mfa.State{}, err
		}
		st, err := a.unknown.state(a.ID.Name)
		a.bound(&st)
		return st, err
	}
	st, err := a.records.readState(ctx, a.ID.Name, &a.known)
	if err != nil {
		return st, err
	}
	if a.bound(&st); st.UID != a.ID.UID {
		st = a.begun(st)
	}
	return st, nil
}

// begun returns the State of an account that begins anew, where st is the record of
// another uid of that name. It keeps the epoch. A record with uid 0 may be that of a
// reset, so its Since counts too.
func (a *Account) begun(st mfa.State) mfa.State {
	now := a.records.noRecord(a.ID.UID)
	now.Epoch, now.Offline = st.Epoch, st.Offline
	now.Tokens, now.TokensSince = st.Tokens, st.TokensSince // who has the token of another begins where it is
	if st.UID == 0 {
		now.Since = mfa.Later(now.Since, st.Since)
	}
	return now
}

// StoreBoundTimes stores the State with its times bounded (Records.BoundTimes), if that
// changes it. A bound that counts from now would otherwise move on with each read.
func (a *Account) StoreBoundTimes(ctx context.Context) error {
	if a.unknown != nil || a.records.BoundTimes == nil {
		return nil
	}
	st, err := a.records.readState(ctx, a.ID.Name, &a.known)
	if err != nil || st.UID != a.ID.UID {
		return err
	}
	stored := st.Clone()
	if a.records.BoundTimes(&st); reflect.DeepEqual(st, stored) {
		return nil
	}
	before, err := record.EncodeState(a.ID.Name, stored, nil)
	if err != nil {
		return err
	}
	after, err := record.EncodeState(a.ID.Name, st, nil)
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	return a.Update(ctx, func(*mfa.State) error { return nil })
}

// Enrollment returns the record under the account's name, whosever it is: nothing if there
// is none, or no such account.
func (a *Account) Enrollment(ctx context.Context) (mfa.Enrollment, error) {
	if a.unknown != nil {
		return mfa.Enrollment{}, nil
	}
	en, err := a.records.Enrollment(ctx, a.ID.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = nil
	case err == nil && en.UID == a.ID.UID:
		a.noted.Store(true) // before it was written
	}
	return en, err
}

// Is says whether both are the same account, or the same name without one.
func (a *Account) Is(other *Account) bool {
	return a.ID == other.ID && a.IsUnknown() == other.IsUnknown()
}

// bound bounds the times of a State that does not come from the store.
func (a *Account) bound(st *mfa.State) {
	if a.records.BoundTimes != nil {
		a.records.BoundTimes(st)
	}
}

// dummyKeys is the key that is written in place of the state of a name without an account.
// In a fleet the host and a hash of the name follow, so that hosts do not wait for each
// other there.
const dummyKeys = store.Meta + "decoy"

// dummyItems is how many such items a host of a fleet has.
const dummyItems = 64

func (r Records) dummyKey(name string) string {
	if r.Host == "" {
		return dummyKeys
	}
	return fmt.Sprintf("%s/%s/%02x", dummyKeys, r.Host, sha256.Sum256([]byte(name))[0]%dummyItems)
}

// dummyRead is the key that is read for a name without an account: in a fleet the item that others of
// that name would have, so that the first look at it takes as long as that of an account
// which this host has not seen.
func (r Records) dummyRead(name string) string {
	if r.Host == "" || name == "" {
		return r.dummyKey(name)
	}
	return store.States + name
}

// Update changes the State in one compare-and-swap, durable when it returns. fn may run
// several times, so it must have no effect but on st and on variables that each run sets.
// If fn returns an error, nothing is written and Update returns that error.
func (a *Account) Update(ctx context.Context, fn func(st *mfa.State) error) error {
	if a.unknown != nil {
		changed, err := a.unknown.update(a.ID.Name, func(st *mfa.State) error {
			a.bound(st)
			return fn(st)
		})
		if err != nil {
			return err
		}
		if a.records.Host == "" && !changed {
			return nil
		}
		return store.Update(ctx, a.records.S, a.records.dummyKey(a.ID.Name), func(old []byte) ([]byte, error) {
			if !changed {
				return old, nil // which asks the store all the same, as for others
			}
			return []byte(rand.Text()), nil
		})
	}
	return a.records.changeState(ctx, a.ID.Name, a, func(st *mfa.State) error {
		if st.UID != a.ID.UID {
			*st = a.begun(*st)
		}
		return fn(st)
	})
}
