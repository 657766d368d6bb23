package account

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// A choice is which enrollment is to be in To, and what becomes of the state.
type choice struct {
	user   string
	result string
	here   userRecords
	wins   userRecords // whose enrollment is to be in To: here, or what is there
	copies bool        // wins is here, and is what a later run may replace
	base   mfa.State   // that From and To have in common
	copied []byte      // the enrollment that To has from here now; nil: none
}

// choose returns the choice for a user, without base.
func (m *Move) choose(ctx context.Context, user string, here userRecords, n moveNote) (choice, error) {
	it, err := m.To.get(store.WithoutView(ctx), store.Users+user)
	if err != nil {
		return choice{}, err
	}
	theirs := userRecords{text: it.Value}
	if en, err := record.DecodeEnrollment("", theirs.text); err == nil {
		theirs.en, theirs.known = en, true
	}
	c := choice{user: user, here: here, wins: theirs}
	m.chooseEnrollment(&c, n)
	taken, err := m.taken(ctx, c)
	if taken {
		c.here.st.LockedHard, c.here.st.LockedBy = true, lockedByMove
	}
	if c.here.st.LockedHard && c.here.st.LockedBy == lockedByMove || here.lost && c.result != MovedKept {
		c.result = MovedLocked
	}
	return c, err
}

// chooseEnrollment decides between that of c.here and that of To, which c.wins is before.
func (m *Move) chooseEnrollment(c *choice, n moveNote) {
	here, theirs := c.here.text, c.wins.text
	if n.put(theirs) {
		c.copied = theirs
	}
	own := m.intoFleet() && c.copied == nil // what To has is the fleet's own
	switch {
	case bytes.Equal(here, theirs):
		c.result, c.wins, c.copies = MovedSame, c.here, c.copied != nil
	case len(theirs) == 0 && n.copiedOnce(here): // reset in the fleet, and here nobody changed it since
		c.result = MovedSame
	case own && len(here) == 0:
		c.result = MovedSame
	case own && len(theirs) > 0:
		c.result = MovedKept
	default:
		c.result, c.wins, c.copies = MovedCopied, c.here, true
	}
	if c.copies && len(here) == 0 {
		c.result = MovedRemoved
	}
}

// put says whether an enrollment that To has is one that was copied, or may have been.
func (n moveNote) put(theirs []byte) bool {
	tried := n.Trying && len(n.Enrollment) > 0 && bytes.Equal(theirs, n.Enrollment)
	return tried || len(n.Copied) > 0 && bytes.Equal(theirs, n.Copied)
}

// copiedOnce says whether an enrollment of From was copied as it is, for sure.
func (n moveNote) copiedOnce(here []byte) bool {
	return !n.Trying && len(n.Copied) > 0 && bytes.Equal(here, n.Copied)
}

// base is what From and To have in common by n. Of what may have been written it is only
// what would let somebody in: who took that away since is right.
func base(n moveNote, here []byte) (base mfa.State) {
	if st, err := record.DecodeState("", n.Base); err == nil {
		base = st
	}
	tried, err := record.DecodeState("", n.State)
	if err != nil || !n.Trying || bytes.Equal(n.State, here) { // the same again changes nothing
		return base
	}
	base.Sessions, base.Pending = append(base.Sessions, tried.Sessions...), append(base.Pending, tried.Pending...)
	if tried.Recovery != nil {
		base.Recovery = tried.Recovery
	}
	if tried.Enrolling != nil {
		base.Enrolling = tried.Enrolling
	}
	return base
}

// begin notes what is about to be copied, before anything of it can be in To. It returns
// the note and what To has of From by now.
func (m *Move) begin(ctx context.Context, user string, n moveNote, c choice, from sum) (moveNote, mfa.State, error) {
	state, err := record.EncodeState(user, c.here.st, nil)
	if err != nil {
		return n, mfa.State{}, err
	}
	common := base(n, state)
	next := moveNote{Move: m.ID, Copied: c.copied, Trying: true, State: state, From: from}
	if next.Base, err = record.EncodeState(user, common, nil); err != nil {
		return n, mfa.State{}, err
	}
	if c.copies {
		next.Enrollment = c.here.text
	}
	return next, common, m.putNote(ctx, user, next)
}

// write writes the state, and then the enrollment: what was spent of it counts before it
// does. One that goes does so first.
func (m *Move) write(ctx context.Context, c choice) error {
	here := c.here
	if c.copies && len(here.text) == 0 {
		if err := remove(ctx, m.To.S, store.Users+c.user); err != nil {
			return err
		}
	}
	if err := m.noteUIDs(ctx, c); err != nil {
		return err
	}
	state := func(old []byte) ([]byte, error) { return m.merged(c, old) }
	err := store.Update(ctx, m.To.S, store.States+c.user, state)
	if errors.Is(err, store.ErrUnreadable) && !m.intoFleet() {
		if err = remove(ctx, m.To.S, store.States+c.user); err == nil {
			err = store.Update(ctx, m.To.S, store.States+c.user, state)
		}
	}
	if err != nil && !errors.Is(err, store.ErrUnreadable) || !c.copies || len(here.text) == 0 {
		return err
	}
	// With a state that cannot be read the user is kept out, and must not be without an
	// enrollment once that is mended.
	return errors.Join(err, store.Update(ctx, m.To.S, store.Users+c.user, func([]byte) ([]byte, error) { return here.text, nil }))
}

// noteUIDs notes in a fleet where to look for the accounts of the records.
func (m *Move) noteUIDs(ctx context.Context, c choice) error {
	var uids []uint32
	if c.here.known {
		uids = append(uids, c.here.en.UID)
	}
	if !isNone(c.here.st) && !slices.Contains(uids, c.here.st.UID) {
		uids = append(uids, c.here.st.UID)
	}
	for _, uid := range uids {
		if err := m.To.NoteUID(ctx, mfa.Identity{Name: c.user, UID: uid}); err != nil {
			return err
		}
	}
	return nil
}

// merged returns the state that To is to have, where it has old.
func (m *Move) merged(c choice, old []byte) ([]byte, error) {
	if !m.intoFleet() {
		return record.EncodeState(c.user, c.here.st, m.To.Since)
	}
	var there mfa.State
	if old != nil {
		var err error
		if there, err = record.DecodeState(m.To.location(store.States+c.user), old); err != nil {
			return nil, err
		}
	}
	merged := MergeStates(c.base, c.here.st, there)
	if b := c.wins.en.Backup; c.result == MovedKept && b != nil && merged.BackupID == "" && there.BackupSince == nil && there.Since == nil {
		merged.BackupID = b.ID // none of them was used there, whatever ended here
	}
	m.Lockout.lockIfReached(&merged, m.Now())
	return record.EncodeState(c.user, merged, m.To.Since)
}

// check reads back what was written, and returns what it is of. What other hosts changed
// in the state since is no error.
func (m *Move) check(ctx context.Context, c choice) (users, states sum, err error) {
	ctx = store.WithoutView(ctx)
	it, err := m.To.get(ctx, store.Users+c.user)
	if err != nil {
		return users, states, err
	}
	if !bytes.Equal(it.Value, c.wins.text) {
		return users, states, fmt.Errorf("check the enrollment of %q: %w", c.user, errNotAsWritten)
	}
	st, err := m.To.get(ctx, store.States+c.user)
	if err != nil {
		return users, states, err
	}
	again, err := m.merged(c, st.Value)
	if err == nil && !sameState(again, st.Value) {
		err = fmt.Errorf("check the state of %q: %w", c.user, errNotAsWritten)
	}
	if it.Rev != 0 {
		users = sha256.Sum256(it.Value)
	}
	if st.Rev != 0 {
		states = sha256.Sum256(st.Value)
	}
	return users, states, err
}

// sameState says whether two records say the same.
func sameState(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := record.DecodeState("", a)
	y, errY := record.DecodeState("", b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// errNotAsWritten means that a record is not what was written; run it again.
var errNotAsWritten = errors.New("it is not what was written")

// FitState returns st, which was counted with the enrollment had, without what would harm
// its user where has counts from now on: the step of an app with another period, and what
// was said of another set of backup codes.
func FitState(st mfa.State, had, has mfa.Enrollment) mfa.State {
	if has.TOTP != nil && (had.TOTP == nil || had.TOTP.Period != has.TOTP.Period) {
		st.TOTPStep = 0
	}
	if has.Backup != nil && st.BackupID != has.Backup.ID {
		st.BackupID, st.BackupUsed, st.BackupSince = "", nil, nil
	}
	return st
}
