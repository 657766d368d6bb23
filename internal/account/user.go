package account

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// ErrChanged means that the user is not any more as the conversation saw them: another
// changed what is set up, or they were locked or reset. Nothing was written, counted or
// spent; the conversation begins again.
var ErrChanged = errors.New("the user changed since the conversation began")

// A User is one account in one conversation: what the conversation saw of it at its
// beginning, and by which rules. What is decided or changed upon that is compared with
// it in the very update that commits. It is used from one goroutine, but for End.
type User struct {
	Account *Account
	Origin  mfa.Origin

	in       *Accounts
	apart    bool           // wrong codes are counted apart; see CountApart
	silent   bool           // an administrator's: nobody is asked
	decoy    mfa.Enrollment // what who is no account seems to have
	lockTold bool           // a mail about a lock went out
	seen     *seen          // what it builds upon; nil: whatever is there
	ground   Ground         // what else it stands on
}

// seen is what a conversation builds upon.
type seen struct {
	epoch      int64
	enrollment string // fingerprint
}

// User returns acct as a conversation from origin sees it.
func (a *Accounts) User(acct *Account, origin mfa.Origin) *User {
	return &User{in: a, Account: acct, Origin: origin}
}

// ByAdministrator returns id as an administrator sees it, who asks nobody and builds
// upon whatever is there.
func (a *Accounts) ByAdministrator(id mfa.Identity) *User {
	u := a.User(a.deps.Records.Account(id), mfa.Origin{Service: "mfactl", Address: "local"})
	u.silent = true
	return u
}

// Pretend says what who is no account seems to have set up, so that they are told
// of a lock like others. Nothing is sent to them.
func (u *User) Pretend(decoy mfa.Enrollment) { u.decoy = decoy }

// See takes down the user as they are: what follows in the conversation is for them
// as they are now.
func (u *User) See(st mfa.State, en mfa.Enrollment) {
	u.seen = &seen{st.Epoch, u.print(en)}
}

// wrote takes down what the conversation itself has made of the user.
func (u *User) wrote(epoch int64, en mfa.Enrollment) {
	if u.seen != nil {
		u.seen = &seen{epoch, u.print(en)}
	}
}

// CheckState returns ErrChanged if st is not of the user that the conversation saw, or
// they are locked now. It is called within the update that commits.
func (u *User) CheckState(st mfa.State) error {
	if u.seen == nil {
		return nil
	}
	if _, locked := u.Locked(st); locked || st.Epoch != u.seen.epoch {
		return ErrChanged
	}
	return nil
}

// CheckEnrollment is CheckState for the enrollment.
func (u *User) CheckEnrollment(en mfa.Enrollment) error {
	if u.seen != nil && u.print(en) != u.seen.enrollment {
		return ErrChanged
	}
	return nil
}

// print is the fingerprint of en, whatever key its secret is sealed with.
func (u *User) print(en mfa.Enrollment) string {
	if en.TOTP != nil {
		if secret, err := u.in.OpenTOTP(u.Account.ID, en.TOTP.Secret); err == nil {
			app := *en.TOTP
			app.Secret = hex.EncodeToString(secret)
			en.TOTP = &app
		}
	}
	return en.Fingerprint()
}

// Unchanged is for a decision that writes nothing: it looks whether the user and the
// rules are as the conversation saw them, and returns ErrChanged if not.
func (u *User) Unchanged(ctx context.Context) error {
	if u.Account.IsNobody() {
		return nil
	}
	st, err := u.Account.State(ctx)
	if err != nil {
		return err
	}
	return cmp.Or(u.CheckState(st), u.CheckRecord(ctx))
}

// CheckRecord is CheckEnrollment for what is stored now, and looks at the rules. An
// administrator may have edited it by hand, which no epoch tells of: a code that was sent
// to an address which is not the user's any more, or asked for of an app that is gone,
// proves nothing.
func (u *User) CheckRecord(ctx context.Context) error {
	if u.seen == nil {
		return nil
	}
	if u.ground.Rules != nil {
		if err := u.ground.Rules(ctx); err != nil {
			return err
		}
	}
	if u.Account.IsNobody() {
		return nil
	}
	en, err := u.in.deps.Records.Enrollment(ctx, u.Account.ID.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return u.CheckEnrollment(en)
}

// Event returns an audit event with all that is known of who and whence.
func (u *User) Event(name string) mfa.Event {
	ev := mfa.Event{
		Time: u.in.deps.Now(), Event: name, User: u.Account.ID.Name,
		Service: u.Origin.Service, Address: u.Origin.Address, Key: u.Origin.Key,
	}
	if !u.Account.IsNobody() {
		ev.UID = &u.Account.ID.UID
	}
	return ev
}
