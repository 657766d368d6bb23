package account

import (
	"cmp"
	"slices"
	"time"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A lock is all that a State says of one.
type lock struct {
	until  *time.Time
	hard   bool
	by     string
	length mfa.Duration
}

func lockOf(st mfa.State) lock { return lock{st.LockedUntil, st.LockedHard, st.LockedBy, st.LockedFor} }

func lockApart(c mfa.FailureCounts) lock { return lock{until: c.LockedUntil, hard: c.LockedHard} }

// put makes l the lock of st.
func (l lock) put(st *mfa.State) {
	st.LockedUntil, st.LockedHard, st.LockedBy, st.LockedFor = l.until, l.hard, l.by, l.length
}

func (l lock) same(o lock) bool {
	return sameTime(l.until, o.until) && l.hard == o.hard && l.by == o.by && l.length == o.length
}

// began returns when the lock was set, nil if that is not known.
func (l lock) began() *time.Time {
	if l.until == nil || l.length <= 0 {
		return nil
	}
	return new(l.until.Add(-time.Duration(l.length)))
}

// led returns those of failures that did not lead to the lock: such are dropped when it is
// set.
func (l lock) led(failures []time.Time) []time.Time {
	began := l.began()
	failures = slices.DeleteFunc(failures, func(t time.Time) bool { return l.hard || began != nil && !t.After(*began) })
	if len(failures) == 0 {
		return nil
	}
	return failures
}

// strongerLock returns the lock that holds longer. A recovery code ends no lock of an
// administrator, so it stays theirs unless it was over when the other was set.
func strongerLock(a, b lock) lock {
	holds, other := a, b
	if b.hard && !a.hard || a.hard == b.hard && b.until != nil && (a.until == nil || b.until.After(*a.until)) {
		holds, other = b, a
	}
	began := holds.began()
	over := !other.hard && other.until != nil && began != nil && !other.until.After(*began)
	if !over {
		holds.by = cmp.Or(holds.by, other.by)
	}
	return holds
}

// mergeLock merges into st, which is as there has it, the lock, the wrong codes that count
// towards one, and the code that ends it.
func mergeLock(st *mfa.State, base, here mfa.State) {
	l := merge3(lockOf(base), lockOf(here), lockOf(*st), lock.same, strongerLock)
	l.put(st)
	st.Failures = l.led(mergeTimes(base.Failures, here.Failures, st.Failures))
	st.LockMails = mergeTimes(base.LockMails, here.LockMails, st.LockMails)
	st.ShelfTries = mergeTimes(base.ShelfTries, here.ShelfTries, st.ShelfTries)
	of := func(r *mfa.Recovery) []mfa.Recovery {
		if r == nil {
			return nil
		}
		return []mfa.Recovery{*r}
	}
	nonce := func(r mfa.Recovery) string { return string(r.Nonce) }
	codes := mergeSet(of(base.Recovery), of(here.Recovery), of(st.Recovery), nonce, func(h, t mfa.Recovery) mfa.Recovery {
		t.Tries = max(h.Tries, t.Tries)
		return t
	})
	st.Recovery = nil
	if len(codes) > 0 { // of two, the newer
		st.Recovery = new(slices.MaxFunc(codes, func(a, b mfa.Recovery) int {
			return cmp.Or(a.Expires.Compare(b.Expires), slices.Compare(a.Nonce, b.Nonce))
		}))
	}
	if here.MustChangePassword != base.MustChangePassword {
		st.MustChangePassword = here.MustChangePassword
	}
}

// mergeSpent merges into st, which is as there has it, what was used of codes that are
// good once.
func mergeSpent(st *mfa.State, base, here mfa.State) {
	st.TOTPStep = merge3(base.TOTPStep, here.TOTPStep, st.TOTPStep, equal, func(h, t int64) int64 { return max(h, t) })
	switch {
	case st.BackupID == here.BackupID:
		used := slices.Concat(st.BackupUsed, here.BackupUsed)
		slices.Sort(used)
		if used = slices.Compact(used); len(used) > len(st.BackupUsed) { // else they keep their order
			st.BackupUsed = used
		}
	case st.BackupID == base.BackupID:
		st.BackupID, st.BackupUsed = here.BackupID, here.BackupUsed
	}
	for _, of := range []struct {
		base, here *time.Time
		there      **time.Time
	}{
		{base.Since, here.Since, &st.Since}, {base.BackupSince, here.BackupSince, &st.BackupSince},
	} {
		*of.there = merge3(of.base, of.here, *of.there, sameTime, mfa.Later)
	}
	if !samePlain(here.SpentForeign, base.SpentForeign) {
		for _, set := range here.SpentForeign {
			factor.KeepForeign(st, set)
		}
	}
}

// A sent is the key of a PlaceSend.
type sent struct {
	origin string
	at     int64 // in nanoseconds
}

// mergeSends merges into st, which is as there has it, the codes that were sent. One that
// ended on one side is good on none.
func mergeSends(st *mfa.State, base, here mfa.State) {
	st.Sends = mergeTimes(base.Sends, here.Sends, st.Sends)
	st.PlaceSends = mergeSet(base.PlaceSends, here.PlaceSends, st.PlaceSends, func(s mfa.PlaceSend) sent {
		return sent{s.Origin, s.At.UnixNano()}
	}, nil)
	slices.SortStableFunc(st.PlaceSends, func(a, b mfa.PlaceSend) int { return a.At.Compare(b.At) })
	nonce := func(p mfa.PendingCode) string { return string(p.Nonce) }
	st.Ended = mergeSet(base.Ended, here.Ended, st.Ended, func(e mfa.EndedCode) string { return string(e.Nonce) }, nil)
	slices.SortStableFunc(st.Ended, func(a, b mfa.EndedCode) int { return a.At.Compare(b.At) })
	st.Pending = mergeSet(base.Pending, here.Pending, st.Pending, nonce, func(h, t mfa.PendingCode) mfa.PendingCode {
		t.Tries, t.Answered = max(h.Tries, t.Tries), h.Answered || t.Answered
		return t
	})
	st.Pending = slices.DeleteFunc(st.Pending, func(p mfa.PendingCode) bool {
		return slices.ContainsFunc(st.Ended, func(e mfa.EndedCode) bool { return e.Same(p) })
	})
	slices.SortStableFunc(st.Pending, func(a, b mfa.PendingCode) int { return a.Sent.Compare(b.Sent) })
	if len(st.Pending) == 0 {
		st.Pending = nil
	}
}

// mergeNotes merges into st, which is as there has it, what is noted beside: of several
// the newest.
func mergeNotes(st *mfa.State, base, here mfa.State) {
	st.Drift = newest(base.Drift, here.Drift, st.Drift, func(d mfa.Drift) time.Time { return d.At })
	st.Enrolling = newest(base.Enrolling, here.Enrolling, st.Enrolling, func(e mfa.Enrolling) time.Time { return e.Began })
	st.Invited = newest(base.Invited, here.Invited, st.Invited, func(i mfa.Invitation) time.Time { return i.Sent })
	st.Contacts = newest(base.Contacts, here.Contacts, st.Contacts, func(c mfa.Contacts) time.Time { return c.At })
	st.EnrollSince = merge3(base.EnrollSince, here.EnrollSince, st.EnrollSince, sameTime, func(h, t *time.Time) *time.Time {
		if h != nil && (t == nil || h.Before(*t)) {
			return h
		}
		return t
	})
	st.Seen = mergeSeen(base.Seen, here.Seen, st.Seen)
	address := func(n mfa.AddressNoticed) string { return n.Address }
	st.Told = mergeSet(base.Told, here.Told, st.Told, address, func(h, t mfa.AddressNoticed) mfa.AddressNoticed {
		if h.At.After(t.At) {
			return h
		}
		return t
	})
}

// newest is merge3 for a note, of which the newer of two counts.
func newest[T any](base, here, there *T, at func(T) time.Time) *T {
	return merge3(base, here, there, samePlain, func(h, t *T) *T {
		if t == nil || h != nil && at(*h).After(at(*t)) {
			return h
		}
		return t
	})
}

// mergeSeen merges the places where a user was seen. Those of here go last, so that none
// of them is dropped.
func mergeSeen(base, here, there []string) []string {
	if slices.Equal(here, base) {
		return there
	}
	itself := func(s string) string { return s }
	kept := mergeSet(base, here, there, itself, nil)
	var merged, last []string
	for _, place := range kept {
		if !slices.Contains(here, place) {
			merged = append(merged, place)
		}
	}
	for _, place := range here {
		if slices.Contains(kept, place) {
			last = append(last, place)
		}
	}
	merged = append(merged, last...)
	return merged[max(0, len(merged)-maxSeen):]
}
