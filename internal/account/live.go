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

// NewLive returns a Live without conversations.
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

// end ends the conversations of user, except that of but, which may be nil.
func (l *Live) end(user string, but *User, why mfa.Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for u, cancel := range l.talks[user] {
		if u != but {
			cancel(why)
		}
	}
}

// users returns the accounts with conversations under way.
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

// Begin registers the conversation, so that Interrupt can end it: the returned context
// is canceled then, with an mfa.Ended as its cause. Call done when the conversation is
// over.
func (u *User) Begin(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	leave := u.in.live.enter(u, cancel)
	return ctx, func() {
		leave()
		cancel(nil)
	}
}

// Hold locks out other changes of several records of user until release is called. It
// works within one daemon: across hosts the epoch of the state decides. It may also wait
// for a change of another user.
func (a *Accounts) Hold(user string) (release func()) {
	m := &a.live.changing[maphash.String(a.live.seed, user)%uint64(len(a.live.changing))]
	m.Lock()
	return m.Unlock
}

// Interrupt ends the conversations of an account: in this daemon at once, on other hosts
// at the next answer. Text is shown to the person; why goes to the audit file.
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

// Drop is Interrupt for a user whose state has a new epoch already: it writes nothing.
func (a *Accounts) Drop(user, text, why string) { a.live.end(user, nil, ended(text, why)) }

// Talking returns the accounts with conversations under way in this daemon.
func (a *Accounts) Talking() []mfa.Identity { return a.live.users() }

func ended(text, why string) mfa.Ended {
	return mfa.Ended{Outcome: mfa.Exhausted, Text: text, Err: errors.New(why)}
}
