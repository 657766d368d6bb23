package account

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// Conversations are the conversations under way in this process, of all Accounts that share it.
// It may be used from many goroutines.
type Conversations struct {
	mu     sync.Mutex // guards byUser
	byUser map[string]map[*User]context.CancelCauseFunc

	seed     maphash.Seed
	changing [64]sync.Mutex // held while several records of a user change as one; by a hash of the name
}

// NewConversations returns a Live without conversations.
func NewConversations() *Conversations {
	return &Conversations{byUser: map[string]map[*User]context.CancelCauseFunc{}, seed: maphash.MakeSeed()}
}

// enter counts u in until leave is called.
func (l *Conversations) enter(u *User, cancel context.CancelCauseFunc) (leave func()) {
	user := u.Account.ID.Name
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byUser[user] == nil {
		l.byUser[user] = map[*User]context.CancelCauseFunc{}
	}
	l.byUser[user][u] = cancel
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.byUser[user], u); len(l.byUser[user]) == 0 {
			delete(l.byUser, user)
		}
	}
}

// end ends the conversations of user, except that of but, which may be nil. Each person is
// told in their language.
func (l *Conversations) end(user string, but *User, told text.Sentence, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for u, cancel := range l.byUser[user] {
		if u != but {
			cancel(ended(told.In(u.Words()), why))
		}
	}
}

// users returns the accounts with conversations under way.
func (l *Conversations) users() (ids []mfa.Identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, talks := range l.byUser {
		for u := range talks {
			if !u.Account.IsUnknown() {
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
	leave := u.in.conversations.enter(u, cancel)
	return ctx, func() {
		leave()
		cancel(nil)
	}
}

// Hold locks out other changes of several records of user until release is called. It
// works within one daemon: across hosts the epoch of the state decides. It may also wait
// for a change of another user.
func (a *Accounts) Hold(user string) (release func()) {
	m := &a.conversations.changing[maphash.String(a.conversations.seed, user)%uint64(len(a.conversations.changing))]
	m.Lock()
	return m.Unlock
}

// Interrupt ends the conversations of an account: in this daemon at once, on other hosts
// at the next answer. Told is shown to the person; why goes to the audit file.
func (a *Accounts) Interrupt(ctx context.Context, acct *Account, told text.Sentence, why string) error {
	defer a.Hold(acct.ID.Name)()
	err := acct.Update(ctx, func(st *mfa.State) error {
		st.NewEpoch(a.deps.Now())
		return nil
	})
	if err == nil {
		a.EndConversations(acct.ID.Name, told, why)
	}
	return err
}

// EndConversations is Interrupt for a user whose state has a new epoch already: it writes nothing.
func (a *Accounts) EndConversations(user string, told text.Sentence, why string) {
	a.conversations.end(user, nil, told, why)
}

// InConversation returns the accounts with conversations under way in this daemon.
func (a *Accounts) InConversation() []mfa.Identity { return a.conversations.users() }

func ended(told, why string) mfa.Ended {
	return mfa.Ended{Outcome: mfa.Exhausted, Text: told, Err: errors.New(why)}
}
