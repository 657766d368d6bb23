package account

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// resumeWithin is how long a setup that was begun can be resumed.
const resumeWithin = time.Hour

// resumes reports whether a login from o may resume a setup that was cut off. It must come
// from an IP address; that of a jump host or a tunnel will do, as the person is told that
// a setup was begun and can begin anew. "local" and host names may be anybody's, and a
// peer that is not root can name any address.
func resumes(o mfa.Origin) bool {
	a, err := netip.ParseAddr(o.Address)
	return err == nil && o.UID == 0 && (a.IsGlobalUnicast() || a.IsLoopback())
}

// SetupBegun returns what an earlier connection from here began to set up and did not
// confirm, and the key of an app or a token; the zero Enrolling if there is nothing, or if
// its time is up. Key is nil if neither was begun, or if it cannot be opened: another is
// made. A setup that was begun anywhere else is shown to nobody.
func (u *User) SetupBegun(ctx context.Context) (e mfa.Enrolling, key []byte, err error) {
	here := u.Origin.String()
	st, err := u.Account.State(ctx)
	if err != nil || st.Enrolling == nil || !resumes(u.Origin) || st.Enrolling.Origin != here {
		return mfa.Enrolling{}, nil, err
	}
	if age := u.in.deps.Now().Sub(st.Enrolling.Began); age < 0 || age > resumeWithin {
		return mfa.Enrolling{}, nil, nil
	}
	if st.Enrolling.Secret != "" {
		if key, err = u.in.deps.Key.Open(st.Enrolling.Secret, u.Account.ID.Name, fieldOf(st.Enrolling.Method)); err != nil {
			key = nil
		}
	}
	return *st.Enrolling, key, nil
}

// BeginApp is BeginSetup for an app with the secret key, which it seals.
func (u *User) BeginApp(ctx context.Context, key []byte) (mfa.Enrolling, error) {
	return u.BeginSetup(ctx, mfa.Enrolling{Method: mfa.TOTP, Secret: u.in.SealTOTP(u.Account.ID, key)})
}

// BeginToken is BeginSetup for a token with that secret, which it seals. Serial is what is
// printed on it, or empty.
func (u *User) BeginToken(ctx context.Context, secret []byte, serial string) (mfa.Enrolling, error) {
	return u.BeginSetup(ctx, mfa.Enrolling{Method: mfa.HOTP, Secret: u.in.SealHOTP(u.Account.ID, secret), To: serial})
}

// BeginSetup stores the setup e for this origin, and voids the one that was begun before.
// It returns e with its ID. The error is ErrChanged as in CheckState.
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

// DropSetup drops the setup that was begun from this origin. The error is ErrChanged as in
// CheckState.
func (u *User) DropSetup(ctx context.Context) error {
	here := u.Origin.String()
	return u.updateUnchanged(ctx, func(st *mfa.State) {
		if st.Enrolling != nil && st.Enrolling.Origin == here {
			st.Enrolling = nil
		}
	})
}

// updateUnchanged changes the state if CheckState allows it.
func (u *User) updateUnchanged(ctx context.Context, change func(*mfa.State)) error {
	return u.Account.Update(ctx, func(st *mfa.State) error {
		if err := u.CheckState(*st); err != nil {
			return err
		}
		change(st)
		return nil
	})
}
