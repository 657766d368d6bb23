package account

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// resumeWithin is how long a setup that was begun is picked up again.
const resumeWithin = time.Hour

// resumes says whether a login from o can be the next of one that was cut off: it comes
// over a network, by an address, if only that of a jump host or a tunnel: whoever comes
// there is told that something was begun, and can begin anew. Whoever else is at "local"
// or behind a host name is not known, and a program that a user runs says what it likes.
func resumes(o mfa.Origin) bool {
	a, err := netip.ParseAddr(o.Address)
	return err == nil && o.UID == 0 && (a.IsGlobalUnicast() || a.IsLoopback())
}

// SetupBegun returns what an earlier connection from here began to set up and did not
// confirm, and the key of an app; the zero Enrolling if there is nothing, or if its time
// is up. App is nil if no app was begun, or if its key cannot be opened: another is made.
// Setups that were begun anywhere else are shown to nobody.
func (u *User) SetupBegun(ctx context.Context) (e mfa.Enrolling, app []byte, err error) {
	here := u.Origin.String()
	st, err := u.Account.State(ctx)
	if err != nil || st.Enrolling == nil || !resumes(u.Origin) || st.Enrolling.Origin != here {
		return mfa.Enrolling{}, nil, err
	}
	if age := u.in.deps.Now().Sub(st.Enrolling.Began); age < 0 || age > resumeWithin {
		return mfa.Enrolling{}, nil, nil
	}
	if st.Enrolling.Secret != "" {
		if app, err = u.in.OpenTOTP(u.Account.ID, st.Enrolling.Secret); err != nil {
			app = nil
		}
	}
	return *st.Enrolling, app, nil
}

// BeginApp is BeginSetup for an app with that key, which it seals.
func (u *User) BeginApp(ctx context.Context, key []byte) (mfa.Enrolling, error) {
	return u.BeginSetup(ctx, mfa.Enrolling{Method: mfa.TOTP, Secret: u.in.SealTOTP(u.Account.ID, key)})
}

// BeginSetup remembers what is being set up, and whence, in the place of what was begun
// before, which is void. It returns e with its ID. The error is ErrChanged if the user is
// not any more as the conversation saw them.
func (u *User) BeginSetup(ctx context.Context, e mfa.Enrolling) (mfa.Enrolling, error) {
	e.ID, e.Origin, e.Began = rand.Text(), u.Origin.String(), u.in.deps.Now()
	var former *mfa.Enrolling
	err := u.updateUnchanged(ctx, func(st *mfa.State) { former, st.Enrolling = st.Enrolling, &e })
	if err != nil {
		return e, err
	}
	ev := u.Event(audit.Begun)
	if ev.Method = string(e.Method); former != nil && former.Origin != e.Origin {
		ev.Reason = "void is what was begun before, over " + former.From()
	}
	u.in.deps.Audit.Record(ev)
	return e, nil
}

// DropSetup forgets what was begun from here. The error is ErrChanged if the user is not
// any more as the conversation saw them.
func (u *User) DropSetup(ctx context.Context) error {
	here := u.Origin.String()
	return u.updateUnchanged(ctx, func(st *mfa.State) {
		if st.Enrolling != nil && st.Enrolling.Origin == here {
			st.Enrolling = nil
		}
	})
}

// updateUnchanged changes the state of a user who is as the conversation saw them.
func (u *User) updateUnchanged(ctx context.Context, change func(*mfa.State)) error {
	return u.Account.Update(ctx, func(st *mfa.State) error {
		if err := u.CheckState(*st); err != nil {
			return err
		}
		change(st)
		return nil
	})
}
