package challenge

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// Live are the conversations under way in this process, of all Askers that share it.
// It may be used from many goroutines.
type Live struct {
	mu    sync.Mutex // guards talks
	talks map[string]map[*Conversation]context.CancelCauseFunc

	seed     maphash.Seed
	changing [64]sync.Mutex // held while several records of a user change as one; by a hash of the name
}

// NewLive returns a Live with nobody in it.
func NewLive() *Live {
	return &Live{talks: map[string]map[*Conversation]context.CancelCauseFunc{}, seed: maphash.MakeSeed()}
}

// enter counts c in until leave is called.
func (l *Live) enter(c *Conversation, cancel context.CancelCauseFunc) (leave func()) {
	user := c.Account.ID.Name
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.talks[user] == nil {
		l.talks[user] = map[*Conversation]context.CancelCauseFunc{}
	}
	l.talks[user][c] = cancel
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.talks[user], c); len(l.talks[user]) == 0 {
			delete(l.talks, user)
		}
	}
}

// end ends the conversations of user but one, which may be nil.
func (l *Live) end(user string, but *Conversation, why mfa.Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, cancel := range l.talks[user] {
		if c != but {
			cancel(why)
		}
	}
}

// users returns whose conversations are under way.
func (l *Live) users() (ids []mfa.Identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, talks := range l.talks {
		for c := range talks {
			if !c.Account.IsNobody() {
				ids = append(ids, c.Account.ID)
			}
			break
		}
	}
	return ids
}

// Begin counts the conversation in, so that Interrupt ends it: then the context that
// it returns ends, with a mfa.Ended as its cause. Done is called when the conversation
// is over.
func (c *Conversation) Begin(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	leave := c.live.enter(c, cancel)
	return ctx, func() {
		leave()
		cancel(nil)
	}
}

// Close is the verdict v at the end of a conversation, which err is about, as the
// module will say it. Nobody is let in where a prompt got no answer, where the client
// is gone or where the conversation was ended from outside: the module refuses the
// first by itself, and nobody hears the second.
func (c *Conversation) Close(ctx context.Context, v mfa.Verdict, err error) (mfa.Verdict, error) {
	cause := context.Cause(ctx)
	if ended, ok := errors.AsType[mfa.Ended](cause); ok {
		if ended.Text != "" {
			c.Say(ctx, mfa.Failure, ended.Text)
		}
		return mfa.Verdict{Outcome: ended.Outcome, Method: v.Method, Reason: fmt.Sprintf("ended: %v", ended)}, err
	}
	if v.Outcome != mfa.Accepted && v.Outcome != mfa.Exempt {
		return v, err
	}
	refused := mfa.Verdict{Outcome: mfa.NoConversation, Method: v.Method}
	switch {
	case cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		refused.Reason = fmt.Sprintf("%s, but it ended: %v", v.Reason, cause)
		return refused, cause
	case c.unanswered != nil:
		refused.Reason = v.Reason + ", but a prompt got no answer"
		return refused, c.unanswered
	}
	return v, err
}

// Hold keeps others from changing several records of user as one, until it is
// released. Within one daemon, that is: across hosts the epoch of the state decides.
func (a *Asker) Hold(user string) (release func()) {
	m := &a.live.changing[maphash.String(a.live.seed, user)%uint64(len(a.live.changing))]
	m.Lock()
	return m.Unlock
}

// Interrupt ends the conversations of an account under way, here at once and on other
// hosts at the next answer. Text is for the person, and why for the audit file.
func (a *Asker) Interrupt(ctx context.Context, acct *account.Account, text, why string) error {
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
func (a *Asker) Drop(user, text, why string) { a.live.end(user, nil, ended(text, why)) }

// Talking returns the accounts whose conversations are under way here.
func (a *Asker) Talking() []mfa.Identity { return a.live.users() }

func ended(text, why string) mfa.Ended {
	return mfa.Ended{Outcome: mfa.Exhausted, Text: text, Err: errors.New(why)}
}

// ErrChanged means that the user is not any more as the conversation saw them: another
// changed what is set up, or they were locked or reset. Nothing was written, counted or
// spent; the conversation begins again.
var ErrChanged = errors.New("the user changed since the conversation began")

// ErrVoid means that what is being set up here was begun anew from elsewhere.
var ErrVoid = errors.New("the setup was begun anew from elsewhere")

// seen is what a conversation builds upon.
type seen struct {
	epoch      int64
	enrollment string // fingerprint
}

// See takes down the user as they are: what follows in the conversation is for them
// as they are now. It also ends a setup.
func (c *Conversation) See(st mfa.State, en mfa.Enrollment) {
	c.seen, c.setup, c.building = &seen{st.Epoch, c.print(en)}, false, ""
}

// CheckState returns ErrChanged if st is not of the user that the conversation saw, or
// they are locked now. It is called within the update that commits. An administrator's
// conversation saw nobody, and builds upon whatever is there.
func (c *Conversation) CheckState(st mfa.State) error {
	if c.seen == nil {
		return nil
	}
	if _, locked := c.Locked(st); locked || st.Epoch != c.seen.epoch {
		return ErrChanged
	}
	return nil
}

// CheckEnrollment is CheckState for the enrollment.
func (c *Conversation) CheckEnrollment(en mfa.Enrollment) error {
	if c.seen != nil && c.print(en) != c.seen.enrollment {
		return ErrChanged
	}
	return nil
}

// print is the fingerprint of en, whatever key its secret is sealed with.
func (c *Conversation) print(en mfa.Enrollment) string {
	if en.TOTP != nil {
		if secret, err := c.OpenTOTP(c.Account.ID, en.TOTP.Secret); err == nil {
			app := *en.TOTP
			app.Secret = hex.EncodeToString(secret)
			en.TOTP = &app
		}
	}
	return en.Fingerprint()
}

// Unchanged is for a decision that writes nothing: it looks whether the user and the
// rules are as the conversation saw them, and returns ErrChanged if not.
func (c *Conversation) Unchanged(ctx context.Context) error {
	if c.Account.IsNobody() {
		return nil
	}
	st, err := c.Account.State(ctx)
	if err != nil {
		return err
	}
	return cmp.Or(c.CheckState(st), c.checkRecord(ctx))
}

// Silent says whether nobody is asked in the conversation: it is an administrator's.
func (c *Conversation) Silent() bool { return c.p == nil }

// Wrote takes down what the conversation itself has made of the user.
func (c *Conversation) Wrote(epoch int64, en mfa.Enrollment) {
	if c.seen != nil {
		c.seen = &seen{epoch, c.print(en)}
	}
}

// Build says that from here on codes prove the method that is being set up under that
// ID of mfa.Enrolling, so that one which is disabled can be set up anew. A code does
// not count once somebody else began.
func (c *Conversation) Build(id string) { c.setup, c.building = true, id }

// checkSetup returns ErrVoid if another setup took the place of this one.
func (c *Conversation) checkSetup(st mfa.State) error {
	if c.setup && c.building != "" && (st.Enrolling == nil || st.Enrolling.ID != c.building) {
		return ErrVoid
	}
	return nil
}

// Age says how long ago something was.
func (a *Asker) Age(t time.Time) string { return Span(max(0, a.deps.Now().Sub(t))) }
