package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A Change is one change of a user's enrollment, with the notes, audit event and mail
// that belong to it.
type Change struct {
	Edit  func(en *mfa.Enrollment) error // may run several times
	Fresh bool                           // the result belongs to this account and generation; Skipped is cleared
	Minor bool                           // no proof depends on it: the epoch stays, and other conversations go on

	// Replace has Edit get what the account has even if that does not count any more, and
	// the zero Enrollment if it cannot be read. It is not compared with what the
	// conversation saw.
	Replace bool

	Anew mfa.Method          // set up anew: what it had against it is forgotten; empty: none
	Own  *factor.Token       // made theirs, from the count First on; the error wraps ErrTaken if it is somebody else's; nil: none
	Use  func(st *mfa.State) // what is noted before the enrollment counts; nil: nothing
	Tidy func(st *mfa.State) // what is noted after; nil: nothing

	Event  mfa.Event   // of which who, whence and when are filled in
	Also   []mfa.Event // what else is to be written down, likewise
	Notice Notice      // to who was enrolled before; without a subject none goes out
}

// changeTimeout bounds the writes of a change, which no disconnect stops: the code that
// proves it is spent.
const changeTimeout = 30 * time.Second

// Change is the only way in which an enrollment changes. It returns the enrollment before
// and after. Its order is fixed. First it writes a new epoch and what Use notes, so that
// all other conversations which saw the user before begin again. Then it writes the
// enrollment. Then it ends the remembered logins, enables a method that was set up anew,
// and runs Tidy. Then it audits, and mails the user.
//
// Each write compares the user with what the conversation saw. If another change came
// first, or the rules changed, the error wraps ErrChanged; if the name is another
// account's by now, ErrAccount. The enrollment is not written then. If it was edited by
// hand in between, the epoch and what Use notes are already written. If the enrollment
// is written and a later step fails, it is audited and mailed all the same, and the error
// says so.
func (u *User) Change(ctx context.Context, ch Change) (before, after mfa.Enrollment, _ error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	before, after, written, err := u.write(ctx, ch)
	if !written {
		return before, after, err
	}
	for _, ev := range append([]mfa.Event{ch.Event}, ch.Also...) {
		ev.Time, ev.User, ev.UID = u.in.deps.Now(), u.Account.ID.Name, &u.Account.ID.UID
		if !u.silent {
			ev.Service, ev.Address, ev.Key = u.Origin.Service, u.Origin.Address, u.Origin.Key
		}
		u.in.deps.Audit.Record(ev)
	}
	if !ch.Notice.Subject.IsZero() && before.Fingerprint() != after.Fingerprint() {
		if known := u.known(ctx, before); known.Enrolled() {
			u.Notify(known, ch.Notice)
		}
	}
	return before, after, err
}

// write is the part of Change that commits. Written says whether the enrollment was
// written, even if what follows from that was not.
func (u *User) write(ctx context.Context, ch Change) (before, after mfa.Enrollment, written bool, err error) {
	id := u.Account.ID
	defer u.in.Hold(id.Name)()
	if err := u.CheckPreconditions(ctx); err != nil {
		return before, after, false, err
	}
	if ch, err = u.claim(ctx, ch); err != nil {
		return before, after, false, err
	}
	epoch, err := u.announce(ctx, ch)
	if err != nil {
		return before, after, false, err
	}
	before, after, err = u.rewrite(ctx, ch)
	if err != nil {
		return before, after, false, err
	}
	revoked, err := u.follow(ctx, ch, before, after)
	if ch.Own != nil {
		err = errors.Join(err, u.in.owned(ctx, id, ch.Own.Secret))
	}
	u.wrote(epoch, after)
	if revoked > 0 && err == nil {
		u.in.revokedAll(id, revoked, ch.Event.Actor, "the enrollment changed")
	}
	if err != nil {
		err = fmt.Errorf("the enrollment of %q changed, and what it had against it stands: %w", id.Name, err)
	}
	return before, after, true, err
}

// claim makes a token theirs that the change sets up, and returns ch with what is noted then.
func (u *User) claim(ctx context.Context, ch Change) (Change, error) {
	if ch.Own == nil {
		return ch, nil
	}
	id, use := u.Account.ID, ch.Use
	again, err := u.in.holds(ctx, owner{User: id.Name, UID: id.UID}, ch.Own.Secret)
	if err != nil && !ch.Replace { // else the record that cannot be read goes
		return ch, err
	}
	stands, err := u.in.own(ctx, id, ch.Own.Secret, again)
	if err != nil {
		return ch, err
	}
	ch.Use = func(st *mfa.State) {
		if use != nil {
			use(st)
		}
		noteOwned(st, *ch.Own, stands, !again && !ch.Replace, u.in.deps.Now())
	}
	return ch, nil
}

// rewrite writes the enrollment, and returns what it was and is.
func (u *User) rewrite(ctx context.Context, ch Change) (before, after mfa.Enrollment, err error) {
	id := u.Account.ID
	edit := func(en *mfa.Enrollment) error {
		before = *en
		if ch.Fresh {
			en.UID, en.Generation, en.Skipped = id.UID, u.in.cfg.Generation, nil
		}
		err := ch.Edit(en)
		after = *en
		return err
	}
	if ch.Replace {
		err = u.in.deps.Records.ReplaceEnrollment(ctx, id.Name, func(live mfa.Enrollment) (mfa.Enrollment, error) {
			en := Of(live, id)
			err := edit(&en)
			return en, err
		})
		return before, after, err
	}
	err = u.in.deps.Records.UpdateEnrollment(ctx, id.Name, func(en *mfa.Enrollment) error {
		if err := u.CheckEnrollment(*en); err != nil {
			return err
		}
		*en = u.in.CurrentEnrollment(*en, id)
		return edit(en)
	})
	return before, after, err
}

// announce writes the new epoch and what Use notes, before the enrollment is written. It
// returns the epoch.
func (u *User) announce(ctx context.Context, ch Change) (epoch int64, err error) {
	err = u.Account.Update(ctx, func(st *mfa.State) error {
		if err := u.CheckState(*st); err != nil {
			return err
		}
		if !ch.Minor {
			st.NewEpoch(u.in.deps.Now())
		}
		if epoch = st.Epoch; ch.Use != nil {
			ch.Use(st)
		}
		return nil
	})
	return epoch, err
}

// follow writes what follows from the new enrollment, and returns how many remembered
// logins it ended.
func (u *User) follow(ctx context.Context, ch Change, before, after mfa.Enrollment) (revoked int, err error) {
	changed := before.Fingerprint() != after.Fingerprint()
	err = u.Account.Update(ctx, func(st *mfa.State) error {
		revoked = 0
		if changed {
			revoked = st.RevokeSessions()
		}
		delete(st.MethodFailures, ch.Anew)
		followSet(st, ch, before.Backup, after.Backup, u.in.deps.Now())
		if ch.Tidy != nil {
			ch.Tidy(st)
		}
		return nil
	})
	return revoked, err
}

// followSet notes at the time now that the set of backup codes changed: a new set is the
// only one that counts, and a set that went does not count again. One that Replace puts
// back is not new.
func followSet(st *mfa.State, ch Change, before, after *mfa.BackupSet, now time.Time) {
	if before != nil && after != nil && before.ID == after.ID {
		return
	}
	if before != nil {
		factor.NoteForeign(st, *before)
	}
	switch {
	case after != nil && !ch.Replace && st.BackupID != after.ID:
		factor.BeginBackup(st, *after, nil, now)
	case before != nil:
		if st.BackupID == before.ID {
			st.BackupID, st.BackupUsed = "", nil
		}
		factor.EndBackup(st, now)
	}
}

// Of returns en if it has the uid of id, else the zero Enrollment.
func Of(en mfa.Enrollment, id mfa.Identity) mfa.Enrollment {
	if en.UID != id.UID {
		return mfa.Enrollment{}
	}
	return en
}

// CurrentEnrollment is Of for an enrollment that counts: it also returns the zero Enrollment
// if en is from before everybody had to enroll anew.
func (a *Accounts) CurrentEnrollment(en mfa.Enrollment, id mfa.Identity) mfa.Enrollment {
	if en.Generation < a.cfg.Generation {
		return mfa.Enrollment{}
	}
	return Of(en, id)
}
