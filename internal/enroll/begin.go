package enroll

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"mfa/internal/audit"
	"mfa/internal/challenge"
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

// begun returns what an earlier connection from here began and did not confirm; the
// zero Enrolling if there is nothing, or if its time is up. What was begun from
// anywhere else is shown to nobody.
func (s *Service) begun(ctx context.Context, c *challenge.Conversation) (mfa.Enrolling, error) {
	st, err := c.User.Account.State(ctx)
	if err != nil || st.Enrolling == nil || !resumes(c.User.Origin) || st.Enrolling.Origin != c.User.Origin.String() {
		return mfa.Enrolling{}, err
	}
	if age := s.Now().Sub(st.Enrolling.Began); age < 0 || age > resumeWithin {
		return mfa.Enrolling{}, nil
	}
	return *st.Enrolling, nil
}

// begunWith is begun for a method, which goes on here.
func (s *Service) begunWith(ctx context.Context, c *challenge.Conversation, m mfa.Method) (mfa.Enrolling, error) {
	e, err := s.begun(ctx, c)
	if err != nil || e.Method != m || e.ID == "" {
		return mfa.Enrolling{}, err
	}
	return e, nil
}

// begin remembers what is being set up, and whence, in the place of what was begun
// before, which is void.
func (s *Service) begin(ctx context.Context, c *challenge.Conversation, e mfa.Enrolling) (mfa.Enrolling, error) {
	e.ID, e.Origin, e.Began = rand.Text(), c.User.Origin.String(), s.Now()
	var former *mfa.Enrolling
	err := c.User.Account.Update(ctx, func(st *mfa.State) error {
		if err := c.User.CheckState(*st); err != nil {
			return err
		}
		former, st.Enrolling = st.Enrolling, &e
		return nil
	})
	if err != nil {
		return e, err
	}
	ev := c.User.Event(audit.Begun)
	if ev.Method = string(e.Method); former != nil && former.Origin != e.Origin {
		ev.Reason = "void is what was begun before, over " + former.From()
	}
	s.Audit.Record(ev)
	return e, nil
}

// drop forgets what was begun from here.
func (s *Service) drop(ctx context.Context, c *challenge.Conversation) error {
	return c.User.Account.Update(ctx, func(st *mfa.State) error {
		if err := c.User.CheckState(*st); err != nil {
			return err
		}
		if st.Enrolling != nil && st.Enrolling.Origin == c.User.Origin.String() {
			st.Enrolling = nil
		}
		return nil
	})
}
