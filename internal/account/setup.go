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
// confirm; the zero Enrolling if there is nothing, or if its time is up. What was begun
// from anywhere else is shown to nobody.
func (u *User) SetupBegun(ctx context.Context) (mfa.Enrolling, error) {
	here := u.Origin.String()
	st, err := u.Account.State(ctx)
	if err != nil || st.Enrolling == nil || !resumes(u.Origin) || st.Enrolling.Origin != here {
		return mfa.Enrolling{}, err
	}
	if age := u.in.deps.Now().Sub(st.Enrolling.Began); age < 0 || age > resumeWithin {
		return mfa.Enrolling{}, nil
	}
	return *st.Enrolling, nil
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
