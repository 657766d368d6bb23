package account

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"mfa/internal/mfa"
)

// Live are the conversations under way in this process, of all Accounts that share it.
// It may be used from many goroutines.
type Live struct {
	mu    sync.Mutex // guards talks
	talks map[string]map[*User]context.CancelCauseFunc

	seed     maphash.Seed
	changing [64]sync.Mutex // held while several records of a user change as one; by a hash of the name
}

// NewLive returns a Live with nobody in it.
func NewLive() *Live {
	return &Live{talks: map[string]map[*User]context.CancelCauseFunc{}, seed: maphash.MakeSeed()}
}

// enter counts u in until leave is called.
func (l *Live) enter(u *User, cancel context.CancelCauseFunc) (leave func()) {
	user := u.Account.ID.Name
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.talks[user] == nil {
		l.talks[user] = map[*User]context.CancelCauseFunc{}
	}
	l.talks[user][u] = cancel
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.talks[user], u); len(l.talks[user]) == 0 {
			delete(l.talks, user)
		}
	}
}

// end ends the conversations of user but one, which may be nil.
func (l *Live) end(user string, but *User, why mfa.Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for u, cancel := range l.talks[user] {
		if u != but {
			cancel(why)
		}
	}
}

// users returns whose conversations are under way.
func (l *Live) users() (ids []mfa.Identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, talks := range l.talks {
		for u := range talks {
			if !u.Account.IsNobody() {
				ids = append(ids, u.Account.ID)
			}
			break
		}
	}
	return ids
}

// Begin counts the conversation in, so that Interrupt ends it: then the context that
// it returns ends, with a mfa.Ended as its cause. Done is called when the conversation
// is over.
func (u *User) Begin(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	leave := u.in.live.enter(u, cancel)
	return ctx, func() {
		leave()
		cancel(nil)
	}
}

// Hold keeps others from changing several records of user as one, until it is
// released. Within one daemon, that is: across hosts the epoch of the state decides.
func (a *Accounts) Hold(user string) (release func()) {
	m := &a.live.changing[maphash.String(a.live.seed, user)%uint64(len(a.live.changing))]
	m.Lock()
	return m.Unlock
}

// Interrupt ends the conversations of an account under way, here at once and on other
// hosts at the next answer. Text is for the person, and why for the audit file.
func (a *Accounts) Interrupt(ctx context.Context, acct *Account, text, why string) error {
	defer a.Hold(acct.ID.Name)()
	err := acct.Update(ctx, func(st *mfa.State) error {
		st.NewEpoch(a.deps.Now())
		return nil
	})
	if err == nil {
		a.Drop(acct.ID.Name, text, why)
	}
	return err
}

// Drop is Interrupt for somebody whose state has a new epoch already.
func (a *Accounts) Drop(user, text, why string) { a.live.end(user, nil, ended(text, why)) }

// Talking returns the accounts whose conversations are under way here.
func (a *Accounts) Talking() []mfa.Identity { return a.live.users() }

func ended(text, why string) mfa.Ended {
	return mfa.Ended{Outcome: mfa.Exhausted, Text: text, Err: errors.New(why)}
}
