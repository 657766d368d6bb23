package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"reflect"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// An Account is whose State a login reads and changes: that of one account of
// this name and uid, or of nobody. What was counted for a former account of the
// name does not count. It is used by one login, from one goroutine.
type Account struct {
	ID      mfa.Identity
	records Records
	nobody  *Strangers // set when there is no such account: what remembers them
	known   decoded    // the State as it was read last
}

// Account returns the account of id.
func (r Records) Account(id mfa.Identity) *Account { return &Account{ID: id, records: r} }

// Nobody is Stranger for a name that is remembered no longer than the Account.
func (r Records) Nobody(name string) *Account { return r.Stranger(NewStrangers(), name) }

// Stranger stands for a name that has no account. In is what remembers it; nothing
// of it is stored, but as much is read and written as for others, so that the time
// tells nobody who exists.
func (r Records) Stranger(in *Strangers, name string) *Account {
	return &Account{ID: mfa.Identity{Name: name}, records: r, nobody: in}
}

// IsNobody says whether there is no such account.
func (a *Account) IsNobody() bool { return a.nobody != nil }

// State returns what is remembered of the account.
func (a *Account) State(ctx context.Context) (mfa.State, error) {
	if a.nobody != nil {
		if _, err := a.records.S.Get(ctx, decoyKey); err != nil && !errors.Is(err, store.ErrNotFound) {
			return mfa.State{}, err
		}
		st, err := a.nobody.state(a.ID.Name)
		a.believe(&st)
		return st, err
	}
	st, err := a.records.storedState(ctx, a.ID.Name, &a.known)
	if err != nil {
		return st, err
	}
	if a.believe(&st); st.UID != a.ID.UID {
		st = a.begun(st)
	}
	return st, nil
}

// begun is what is known of the account where st is what is remembered of another one of
// that name: that others began before. One that names nobody is of a reset.
func (a *Account) begun(st mfa.State) mfa.State {
	now := a.records.unknown(a.ID.UID)
	now.Epoch = st.Epoch
	if st.UID == 0 {
		now.Since = mfa.Later(now.Since, st.Since)
	}
	return now
}

// Settle stores what is believed of what is remembered, if that is less: a bound
// that counts from now on would move on with every look at it.
func (a *Account) Settle(ctx context.Context) error {
	if a.nobody != nil || a.records.Believe == nil {
		return nil
	}
	st, err := a.records.storedState(ctx, a.ID.Name, &a.known)
	if err != nil || st.UID != a.ID.UID {
		return err
	}
	stored := st.Clone()
	if a.records.Believe(&st); reflect.DeepEqual(st, stored) {
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

// believe is Records.Believe for what is not read from the store.
func (a *Account) believe(st *mfa.State) {
	if a.records.Believe != nil {
		a.records.Believe(st)
	}
}

// decoyKey is overwritten in place of the state of nobody.
const decoyKey = store.Meta + "decoy"

// Update changes what is remembered, in one compare-and-swap; fn may run several
// times, so it has no effect but on st.
func (a *Account) Update(ctx context.Context, fn func(st *mfa.State) error) error {
	if a.nobody != nil {
		changed, err := a.nobody.update(a.ID.Name, func(st *mfa.State) error {
			a.believe(st)
			return fn(st)
		})
		if err != nil || !changed {
			return err
		}
		return store.Update(ctx, a.records.S, decoyKey, func([]byte) ([]byte, error) { return []byte(rand.Text()), nil })
	}
	return a.records.updateState(ctx, a.ID.Name, &a.known, func(st *mfa.State) error {
		if st.UID != a.ID.UID {
			*st = a.begun(*st)
		}
		return fn(st)
	})
}
