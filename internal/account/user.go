package account

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// ErrChanged means that the user changed since the conversation saw them: another changed
// the enrollment, or they were locked or reset. No answer was counted; what a Change may
// have written is said there. The conversation begins again.
var ErrChanged = errors.New("the user changed since the conversation began")

// A User is one account in one conversation. It holds what the conversation saw of the
// account at its beginning; each update that decides or changes something compares that
// first. One goroutine at a time may use it; others may use Account, Origin and Event.
type User struct {
	Account *Account
	Origin  mfa.Origin

	in       *Accounts
	apart    bool           // wrong codes are counted apart; see CountApart
	silent   bool           // an administrator's: nobody is asked
	decoy    mfa.Enrollment // of a name without an account; see Pretend
	lockTold bool           // a mail about a lock went out
	seen     *seen          // what See noted; nil: nothing is compared
	required Preconditions  // see Require
	offline  atomic.Bool    // see IsOffline

	language atomic.Pointer[spoken] // see Words
	ascii    bool                   // see OnlyASCII
}

// seen is the user as a conversation saw them.
type seen struct {
	epoch      int64
	enrollment string // fingerprint
}

// User returns acct for a conversation from origin. Nothing is compared before See.
func (a *Accounts) User(acct *Account, origin mfa.Origin) *User {
	origin.Host = a.cfg.FleetHost
	u := &User{in: a, Account: acct, Origin: origin}
	u.speak("")
	return u
}

// ByAdministrator returns the User for a change by an administrator: there is no
// conversation, nothing seen before is compared, and events have no origin.
func (a *Accounts) ByAdministrator(id mfa.Identity) *User {
	u := a.User(a.deps.Records.Account(id), mfa.Origin{Service: "mfactl", Address: "local"})
	u.silent = true
	return u
}

// Pretend sets the enrollment that a name without an account seems to have, so that the
// prompts about a lock are those of others. Nothing is sent.
func (u *User) Pretend(decoy mfa.Enrollment) { u.decoy = decoy }

// Load reads the user's records, and notes them (See) and the preconditions (Require): what
// follows in this conversation holds for the user as they are now, in their language. If the
// user is locked it returns no enrollment, and notes nothing.
func (u *User) Load(ctx context.Context, on Preconditions) (st mfa.State, en mfa.Enrollment, locked bool, err error) {
	if st, err = u.Account.State(ctx); err != nil {
		return st, en, false, err
	}
	u.saw(st)
	if _, locked = u.Locked(st); locked {
		if en, err := u.Account.Enrollment(ctx); err == nil { // else it is told in the language of the configuration
			u.speakOf(en)
		}
		return st, en, true, nil
	}
	if en, err = u.Account.Enrollment(ctx); err == nil {
		u.speakOf(en)
		u.See(st, en)
		u.Require(on)
	}
	return st, en, false, err
}

// See notes the epoch of st and the fingerprint of en. CheckState and CheckEnrollment
// compare with them from now on.
func (u *User) See(st mfa.State, en mfa.Enrollment) {
	u.seen = &seen{st.Epoch, u.print(en)}
}

// wrote is See after a change by the conversation itself.
func (u *User) wrote(epoch int64, en mfa.Enrollment) {
	if u.seen != nil {
		u.seen = &seen{epoch, u.print(en)}
	}
}

// CheckState returns ErrChanged if st has another epoch than See noted, or the user is
// locked now. Call it within the update that commits.
func (u *User) CheckState(st mfa.State) error {
	u.saw(st)
	if u.seen == nil {
		return nil
	}
	if _, locked := u.Locked(st); locked || st.Epoch != u.seen.epoch {
		return ErrChanged
	}
	return nil
}

// CheckEnrollment returns ErrChanged if en has another fingerprint than See noted.
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
	if en.HOTP != nil {
		if secret, err := u.in.OpenHOTP(u.Account.ID, en.HOTP.Secret); err == nil {
			token := *en.HOTP
			token.Secret = hex.EncodeToString(secret)
			en.HOTP = &token
		}
	}
	return en.Fingerprint()
}

// Unchanged is for a decision that writes nothing: it reads the records and returns an
// error that wraps ErrChanged if the user or the rules changed.
func (u *User) Unchanged(ctx context.Context) error {
	if u.Account.IsUnknown() {
		return nil
	}
	st, err := u.Account.State(ctx)
	if err != nil {
		return err
	}
	return cmp.Or(u.CheckState(st), u.CheckRecord(ctx), u.Confirm(ctx))
}

// Confirm is for a decision that no write follows: what the conversation read of the user
// may come from memory (store.View). The error wraps ErrChanged if the store has it
// otherwise by now. It asks nothing where all was read from the store itself.
func (u *User) Confirm(ctx context.Context) error {
	return changed(store.Confirm(ctx, u.in.deps.Records.S))
}

// changed returns err as an ErrChanged if it says that what was read is not so any more.
func changed(err error) error {
	if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}

// CheckRecord checks the rules, and is CheckEnrollment for the enrollment as it is stored
// now. An administrator may have edited it by hand, which changes no epoch: a code proves
// nothing that was sent to a former address, or that a removed app showed.
func (u *User) CheckRecord(ctx context.Context) error {
	if u.seen == nil {
		return nil
	}
	if u.required.Rules != nil {
		if err := u.required.Rules(ctx); err != nil {
			return err
		}
	}
	if u.Account.IsUnknown() {
		return nil
	}
	en, err := u.Account.Enrollment(ctx)
	if err != nil {
		return err
	}
	return u.CheckEnrollment(en)
}

// Event returns an audit event of that name with the user, the origin and the time.
func (u *User) Event(name string) mfa.Event {
	ev := mfa.Event{
		Time: u.in.deps.Now(), Event: name, User: u.Account.ID.Name,
		Service: u.Origin.Service, Address: u.Origin.Address, Key: u.Origin.Key, Offline: u.IsOffline(),
	}
	if !u.Account.IsUnknown() {
		ev.UID = &u.Account.ID.UID
	}
	return ev
}
