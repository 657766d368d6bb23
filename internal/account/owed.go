package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// Owed are the wrong codes that could not be written down: the disk was full, or etcd gave no
// answer. They count all the same, towards a lock as well: what follows is decided as if they
// were written, and writes them if that goes. Else, where a store refuses what a wrong code
// writes and takes what a right one does, for whatever reason, there could be guesses without
// number. So that guesses at once know of each other, a State is changed by one at a time.
//
// It knows those of this process alone. It may be used from many goroutines; nil owes nothing.
type Owed struct {
	accounts func() *Accounts // of the configuration that counts now
	most     int              // maxDebts

	mu    sync.Mutex // guards what follows
	users map[string]*owing
	debts int
}

// An owing is a user whose State is being changed, or of whom something is owed.
type owing struct {
	turn chan struct{} // has a value while the State is being changed
	uses int           // goroutines that have the turn or want it; guarded by Owed.mu
	debt *debt         // nil: nothing is owed; changed by the holder of the turn, under Owed.mu
}

// A debt is what could not be written.
type debt struct{ base, here mfa.State } // as it was stored, and as it should be

// maxDebts bounds the users of whom something is owed. Where there are as many, no code of others
// is looked at.
const maxDebts = 10_000

var errTooManyOwed = errors.New("too many wrong codes could not be written down")

// NewOwed returns an Owed; accounts are those of the configuration that counts now.
func NewOwed(accounts func() *Accounts) *Owed {
	return &Owed{users: map[string]*owing{}, accounts: accounts, most: maxDebts}
}

// enter waits until nobody else changes the State of a user. Leave has to be called.
func (o *Owed) enter(ctx context.Context, user string) (w *owing, leave func(), err error) {
	if o == nil {
		return &owing{}, func() {}, nil
	}
	o.mu.Lock()
	if w = o.users[user]; w == nil {
		w = &owing{turn: make(chan struct{}, 1)}
		o.users[user] = w
	}
	full := w.debt == nil && o.debts >= o.most
	w.uses++
	o.mu.Unlock()
	if full {
		o.forget(user, w)
		return nil, nil, errTooManyOwed
	}
	select {
	case w.turn <- struct{}{}:
		return w, func() { <-w.turn; o.forget(user, w) }, nil
	case <-ctx.Done():
		o.forget(user, w)
		return nil, nil, fmt.Errorf("wait for what else changes the state of %q: %w", user, ctx.Err())
	}
}

// forget ends one use of w, and forgets it if there is no other and nothing is owed.
func (o *Owed) forget(user string, w *owing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.uses--; w.uses == 0 && w.debt == nil {
		delete(o.users, user)
	}
}

// add returns the State that was read, with what is owed. The caller has the turn.
func (o *Owed) add(w *owing, st mfa.State) mfa.State {
	if w.debt == nil {
		return st
	}
	a := o.accounts()
	st = MergeStates(w.debt.base, w.debt.here, st)
	a.cfg.Lockout.lockIfReached(&st, a.deps.Now())
	return st
}

// owe takes in that st, which counts a wrong code and all that was owed, was not written in the
// place of base. The caller has the turn.
func (o *Owed) owe(w *owing, base, st mfa.State) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.debt == nil {
		o.debts++
	}
	w.debt = &debt{base, st.Clone()}
}

// paid takes in that st is written in the place of base, with what was owed. It tells of a lock
// by that. The caller has the turn.
func (o *Owed) paid(w *owing, user string, base, st mfa.State) {
	if w.debt == nil {
		return
	}
	a := o.accounts()
	now := a.deps.Now()
	_, _, was := base.Locked(now)
	if _, _, is := st.Locked(now); is && !was {
		a.deps.Audit.Record(mfa.Event{Time: now, Event: audit.Locked, User: user, UID: &st.UID, Reason: "wrong codes that could not be written down before"})
	}
	o.drop(w)
}

// drop forgets what is owed. The caller has the turn.
func (o *Owed) drop(w *owing) {
	if w.debt == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	w.debt = nil
	o.debts--
}

// debtors returns the users of whom something is owed.
func (o *Owed) debtors() (users []string) {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for user, w := range o.users {
		if w.debt != nil {
			users = append(users, user)
		}
	}
	return users
}

// countsMore says whether after counts a wrong code, of any kind, that before does not.
func countsMore(before, after mfa.State) bool {
	more := func(before, after map[mfa.Method]int) bool {
		for m, n := range after {
			if n > before[m] {
				return true
			}
		}
		return false
	}
	tries := func(st mfa.State) int {
		if st.Recovery == nil {
			return 0
		}
		return st.Recovery.Tries
	}
	n := len(after.ShelfTries)
	return more(before.MethodFailures, after.MethodFailures) || more(methodsOf(before.Apart), methodsOf(after.Apart)) ||
		tries(after) > tries(before) || n > 0 && !slices.ContainsFunc(before.ShelfTries, after.ShelfTries[n-1].Equal)
}

// PayOwed writes down the wrong codes that could not be written down before, if that goes now.
func (r Records) PayOwed(ctx context.Context) (err error) {
	for _, user := range r.Owed.debtors() {
		err = errors.Join(err, r.UpdateState(ctx, user, func(*mfa.State) error { return nil }))
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

// isOwed says whether a change that ended with err may not have been written, and will not be
// tried again by whoever called. What another write was faster than begins anew.
func isOwed(err error) bool {
	return err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrStale)
}
