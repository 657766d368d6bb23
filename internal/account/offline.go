package account

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/offline"
)

// While the store of a fleet cannot be reached, a login may be decided by what its host has
// kept (store.WithKept). The state that it gets says so (mfa.State.Offline), so that each
// decision is made by the very record that it is written to. It is proven by the user's
// app or a backup code, and by nothing else.

// CountsOffline says whether a code of the method lets somebody in while the store of the
// fleet cannot be reached: nothing is sent then, and how far a token counted elsewhere is not
// known.
func CountsOffline(m mfa.Method) bool { return m == mfa.TOTP || m == mfa.Backup }

// ErrOffline means that something needs the store of the fleet, which cannot be reached.
var ErrOffline = fmt.Errorf("%w, and this is not decided without it", store.ErrUnreachable)

// Online returns ErrOffline if st is what a host has kept.
func Online(st mfa.State) error {
	if st.Offline != nil {
		return ErrOffline
	}
	return nil
}

// IsOffline says whether what was read of the user last is what this host has kept.
func (u *User) IsOffline() bool { return u.offline.Load() }

// saw notes whether st is what this host has kept.
func (u *User) saw(st mfa.State) { u.offline.Store(st.Offline != nil) }

// Kept knows what is kept of users on a host for the time without the store of its fleet. It
// may be used from many goroutines.
type Kept struct {
	Accounts func() *Accounts // of the configuration that counts now
}

// Worth says whether that enrollment has what lets its user in offline.
func (Kept) Worth(user string, enrollment []byte) bool {
	en, err := record.DecodeEnrollment("what is kept of "+user, enrollment)
	return err == nil && (en.TOTP != nil || en.Backup != nil)
}

// Serve returns state as an offline login gets it; heard is when the fleet's store was heard
// of last. Of what logins can be let in by it has no more than counts offline: no code that
// was sent, no login that is remembered, no recovery code.
func (Kept) Serve(user string, state []byte, heard time.Time) ([]byte, error) {
	st, err := decodeKept(user, state)
	if err != nil {
		return nil, err
	}
	st.Offline = new(heard.UTC())
	return record.EncodeState(user, st, nil)
}

func decodeKept(user string, state []byte) (mfa.State, error) {
	st, err := record.DecodeState("what is kept of "+user, state)
	return offlineState(st), err
}

// offlineState returns what of st counts offline. What is not named here does not.
func offlineState(st mfa.State) mfa.State {
	return mfa.State{
		UID: st.UID, Epoch: st.Epoch, Failures: st.Failures, MethodFailures: st.MethodFailures, Apart: st.Apart,
		LockedUntil: st.LockedUntil, LockedHard: st.LockedHard, LockedBy: st.LockedBy, LockedFor: st.LockedFor, LockMails: st.LockMails,
		TOTPStep: st.TOTPStep, Drift: st.Drift, BackupID: st.BackupID, BackupUsed: st.BackupUsed, SpentForeign: st.SpentForeign,
		Since: st.Since, BackupSince: st.BackupSince, Tokens: st.Tokens, TokensSince: st.TokensSince,
		MustChangePassword: st.MustChangePassword, Seen: st.Seen, Told: st.Told,
	}
}

// Bears says whether there says that the merge of this host with that mark happened.
func (k Kept) Bears(user, mark string, there []byte) (bool, error) {
	if there == nil {
		return false, nil
	}
	st, err := record.DecodeState("state of "+user, there)
	return slices.Contains(st.Merged, mfa.Merge{Host: k.Accounts().cfg.FleetHost, Mark: mark}), err
}

// maxMerged is how many hosts a State knows the newest merge of.
const maxMerged = 16

// Merge returns the state that the fleet has with what was decided offline. Tell writes down
// what became of it; it is called once the result is stored.
func (k Kept) Merge(m offline.Merging) (merged []byte, tell func(), err error) {
	a := k.Accounts()
	base, err1 := decodeKept(m.User, m.Base)
	here, err2 := decodeKept(m.User, m.Here)
	there, err3 := a.deps.Records.noRecord(here.UID), error(nil)
	if m.There != nil {
		there, err3 = record.DecodeState("state of "+m.User, m.There)
	}
	same, err4 := samePeriod(m)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, nil, err
	}
	if !same {
		here.TOTPStep = base.TOTPStep // it is of another time for the app that the user has now
	}
	now := a.deps.Now()
	_, _, was := there.Locked(now)
	st := MergeStates(base, here, there)
	if st.UID == here.UID {
		st.MethodFailures = addFailures(base.MethodFailures, here.MethodFailures, there.MethodFailures, st.MethodFailures)
		if st.Apart != nil {
			st.Apart.MethodFailures = addFailures(methodsOf(base.Apart), methodsOf(here.Apart), methodsOf(there.Apart), st.Apart.MethodFailures)
		}
		a.cfg.Lockout.lockIfReached(&st, now)
	}
	_, _, is := st.Locked(now)
	a.bear(&st, m.Mark)
	merged, err = record.EncodeState(m.User, st, nil)
	return merged, func() { a.tellMerged(mfa.Identity{Name: m.User, UID: st.UID}, twice(base, here, there), is && !was) }, err
}

// bear puts the mark of a merge of this host into st.
func (a *Accounts) bear(st *mfa.State, mark string) {
	host := a.cfg.FleetHost
	st.Merged = slices.DeleteFunc(slices.Clone(st.Merged), func(m mfa.Merge) bool { return m.Host == host })
	st.Merged = append(st.Merged, mfa.Merge{Host: host, Mark: mark})
	st.Merged = st.Merged[max(0, len(st.Merged)-maxMerged):]
}

// samePeriod says whether the app that codes were taken of offline counts time as that does
// which the user has in the fleet.
func samePeriod(m offline.Merging) (bool, error) {
	had, err := record.DecodeEnrollment("what is kept of "+m.User, m.Enrollment)
	if err != nil || m.Enrolled == nil {
		return true, err
	}
	has, err := record.DecodeEnrollment("enrollment of "+m.User, m.Enrolled)
	return had.TOTP == nil || has.TOTP == nil || had.TOTP.Period == has.TOTP.Period, err
}

// addFailures returns the wrong codes by method where both sides went on counting: those of
// here since base count beside those of there.
func addFailures(base, here, there, merged map[mfa.Method]int) map[mfa.Method]int {
	merged = maps.Clone(merged)
	for m, n := range here {
		if more := n - base[m]; more > 0 && merged != nil {
			merged[m] = max(merged[m], there[m]+more)
		}
	}
	return merged
}

func methodsOf(c *mfa.FailureCounts) map[mfa.Method]int {
	if c == nil {
		return nil
	}
	return c.MethodFailures
}

// twice says for people which code was accepted both here and there since base, as far as
// that can be told; empty: none.
func twice(base, here, there mfa.State) string {
	var codes []string
	if here.TOTPStep != base.TOTPStep && here.TOTPStep == there.TOTPStep {
		codes = append(codes, "one code of the app")
	}
	if here.BackupID == there.BackupID {
		for _, i := range here.BackupUsed {
			before := here.BackupID == base.BackupID && slices.Contains(base.BackupUsed, i)
			if !before && slices.Contains(there.BackupUsed, i) {
				codes = append(codes, "one backup code")
				break
			}
		}
	}
	return strings.Join(codes, " and ")
}

// tellMerged writes down that what was decided offline of a user is merged.
func (a *Accounts) tellMerged(id mfa.Identity, twice string, locked bool) {
	ev := mfa.Event{Time: a.deps.Now(), Event: audit.Merged, User: id.Name, UID: &id.UID}
	if twice != "" {
		ev.Reason = twice + ": accepted on two hosts that could not know of each other"
		a.deps.Log.Warn("a code was accepted twice, on two hosts that could not know of each other", "user", id.Name, "code", twice)
	}
	a.deps.Audit.Record(ev)
	if locked {
		ev.Event, ev.Reason = audit.Locked, "what was decided offline is known"
		a.deps.Audit.Record(ev)
	}
}
