package enroll

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/challenge"
	"mfa/internal/mfa"
)

// A change is what becomes of the enrollment of one user, and what follows from it.
type change struct {
	edit func(en *mfa.Enrollment) error // may run several times
	anew mfa.Method                     // set up anew: what it had against it is forgotten; empty: none
	use  func(st *mfa.State)            // what is noted before the enrollment counts; nil: nothing
	tidy func(st *mfa.State)            // what is noted after; nil: nothing

	minor bool // nothing that anybody proves or proved depends on it

	event                 mfa.Event // of which who, whence and when are filled in
	subject, what, advice string    // of the mail to who was enrolled before; no subject: none goes out
}

// changeTimeout bounds the writes of a change, which no disconnect stops: the code that
// proves it is spent.
const changeTimeout = 30 * time.Second

// change is how an enrollment changes, whoever wants it to: one order, in which nothing
// is forgotten. What the conversation c saw of the user at its beginning is compared
// within the updates that commit; if another came in between, or the rules changed, the
// error is challenge.ErrChanged and nothing is written, nor if the name is another
// account's by now (challenge.ErrAccount). A new epoch comes first, so that all
// other conversations begin again that saw the user as they were; remembered logins end.
func (s *Service) change(ctx context.Context, c *challenge.Conversation, ch change) (before, after mfa.Enrollment, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	before, after, err = s.write(ctx, c, ch)
	if err != nil {
		return before, after, err
	}
	ev := ch.event
	ev.Time, ev.User, ev.UID = s.Now(), c.Account.ID.Name, &c.Account.ID.UID
	if !c.Silent() {
		ev.Service, ev.Address, ev.Key = c.Origin.Service, c.Origin.Address, c.Origin.Key
	}
	s.Audit.Record(ev)
	if ch.subject != "" && before.Enrolled() && before.Fingerprint() != after.Fingerprint() {
		c.Notify(before, ch.subject, ch.what, ch.advice)
	}
	return before, after, nil
}

// write is the part of change that commits.
func (s *Service) write(ctx context.Context, c *challenge.Conversation, ch change) (before, after mfa.Enrollment, err error) {
	id := c.Account.ID
	defer s.Asker.Hold(id.Name)()
	if err := c.Stands(ctx); err != nil {
		return before, after, err
	}
	var epoch int64
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		if err := c.CheckState(*st); err != nil {
			return err
		}
		if !ch.minor {
			st.NewEpoch(s.Now())
		}
		if epoch = st.Epoch; ch.use != nil {
			ch.use(st)
		}
		return nil
	})
	if err != nil {
		return before, after, err
	}
	err = s.Records.UpdateEnrollment(ctx, id.Name, func(en *mfa.Enrollment) error {
		if err := c.CheckEnrollment(*en); err != nil {
			return err
		}
		before = s.starting(en, id)
		err := ch.edit(en)
		after = *en
		return err
	})
	if err != nil {
		return before, after, err
	}
	revoked := 0
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		revoked = 0
		if before.Fingerprint() != after.Fingerprint() {
			revoked = st.RevokeSessions()
		}
		delete(st.MethodFailures, ch.anew)
		if ch.tidy != nil {
			ch.tidy(st)
		}
		return nil
	})
	c.Wrote(epoch, after)
	if revoked > 0 && err == nil {
		s.Asker.Revoked(id, revoked, ch.event.Actor, "the enrollment changed")
	}
	if err != nil {
		err = fmt.Errorf("the enrollment of %q changed, and what it had against it stands: %w", id.Name, err)
	}
	return before, after, err
}

// count makes en an enrollment of id that counts from now on.
func (s *Service) count(en *mfa.Enrollment, id mfa.Identity) {
	en.UID, en.Generation, en.Skipped = id.UID, s.Generation, nil
}
