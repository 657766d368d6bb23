package mfa

import (
	"reflect"
	"slices"
	"time"
)

const (
	// ClockSlack is how far apart the clocks of hosts that share a store may be. A stored
	// time that is no further in the future is believed.
	ClockSlack = 5 * time.Minute
	// RecoveryLifetime is how long a recovery code is good.
	RecoveryLifetime = 24 * time.Hour
	// LongestLock is how long a lock with an end may last.
	LongestLock = 365 * 24 * time.Hour
)

// earliest is before every time at which this program ran. A clock that shows less is
// wrong: with an empty battery it starts in 1970. A lock that an administrator set does
// not end by such a clock. A lock by wrong codes does: the clock of that machine may
// never be set, and people wait.
var earliest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Lengths are how long things last, as configured.
type Lengths struct {
	Code time.Duration // code.lifetime
	Lock time.Duration // lockout.duration; 0: no lock by wrong codes has an end
}

// BoundTimes bounds the times in s: each is at most now plus the length that belongs to it.
// The clock may have run ahead when a time was stored, or have been set back since. It
// returns whether anything changed. It leaves alone TOTPStep, as it does not know how
// long a step lasts, and Sessions, which EndFutureTimes looks at. What a slice or pointer of s
// held before is not written to, so copies of s stay as they were.
func (s *State) BoundTimes(now time.Time, l Lengths) (changed bool) {
	b := bounder{now: now, limit: now.Add(ClockSlack)}
	// Failures counted in a time that has not come would count for years.
	s.Failures = b.past(s.Failures)
	s.Sends = b.past(s.Sends)
	s.LockMails = b.past(s.LockMails)
	s.ShelfTries = b.past(s.ShelfTries)
	s.PlaceSends = slices.DeleteFunc(slices.Clone(s.PlaceSends), func(p PlaceSend) bool {
		late := b.late(p.At)
		b.changed = b.changed || late
		return late
	})
	if len(s.PlaceSends) == 0 {
		s.PlaceSends = nil
	}
	// An act done once is not to be done again: it was done by now.
	s.Told = slices.Clone(s.Told)
	for i := range s.Told {
		b.atMost(&s.Told[i].At, now)
	}
	b.codes(s, l)
	if s.Apart != nil {
		t := *s.Apart
		t.Failures = b.past(t.Failures)
		if l.Lock > 0 {
			b.atMostOf(&t.LockedUntil, now.Add(l.Lock))
		}
		s.Apart = &t
	}
	b.newest(s)
	if s.Recovery != nil {
		r := *s.Recovery
		b.atMost(&r.Expires, now.Add(RecoveryLifetime))
		s.Recovery = &r
	}
	b.atMostOf(&s.EnrollSince, now)
	if s.EnrollSince != nil && s.EnrollSince.Before(earliest) && !now.Before(earliest) {
		s.EnrollSince, b.changed = nil, true // or the time to enroll would be over
	}
	b.atMostOf(&s.Since, now)
	b.atMostOf(&s.BackupSince, now)
	b.atMostOf(&s.TokensSince, now)
	b.atMostOf(&s.Offline, now)
	b.lock(s, l)
	return b.changed
}

// newest bounds the times of that of which s has only the newest.
func (b *bounder) newest(s *State) {
	if s.Drift = copied(s.Drift); s.Drift != nil {
		b.atMost(&s.Drift.At, b.now)
	}
	if s.Enrolling = copied(s.Enrolling); s.Enrolling != nil {
		b.atMost(&s.Enrolling.Began, b.now)
	}
	if s.Invited = copied(s.Invited); s.Invited != nil {
		b.atMost(&s.Invited.Sent, b.now)
	}
	if s.Contacts = copied(s.Contacts); s.Contacts != nil {
		b.atMost(&s.Contacts.At, b.now)
	}
}

// lockLength is how long the lock of s may last at most.
func (s *State) lockLength(l Lengths) time.Duration {
	switch {
	case s.LockedFor > 0:
		return time.Duration(s.LockedFor)
	case s.LockedBy == "" && l.Lock > 0:
		return l.Lock
	}
	return LongestLock // from before locks kept their length
}

// A bounder bounds times.
type bounder struct {
	now, limit time.Time
	changed    bool
}

func (b *bounder) late(t time.Time) bool { return t.After(b.limit) }

// past returns those of times that have come.
func (b *bounder) past(times []time.Time) []time.Time {
	if !slices.ContainsFunc(times, b.late) {
		return times
	}
	b.changed = true
	if kept := slices.DeleteFunc(slices.Clone(times), b.late); len(kept) > 0 {
		return kept
	}
	return nil
}

// atMost makes t no later than limit. A little is left to it, as clocks differ.
func (b *bounder) atMost(t *time.Time, limit time.Time) {
	if t.After(limit.Add(ClockSlack)) {
		*t, b.changed = limit, true
	}
}

// atMostOf is atMost for a time that may be none.
func (b *bounder) atMostOf(t **time.Time, limit time.Time) {
	if *t == nil {
		return
	}
	at := **t
	b.atMost(&at, limit)
	*t = &at
}

// Ahead names, for people, the parts of s with times too far after now: the clock ran
// ahead, or was set back. They are those that EndFutureTimes changes, except for codes that only
// last longer than l.Code. It does not change s.
func (s State) Ahead(now time.Time, l Lengths) []string {
	l.Code = LongestLock // a code.lifetime that was shortened is no wrong clock
	is := s
	is.EndFutureTimes(now, l)
	var found []string
	add := func(what string, fields ...any) { // pairs: as it is stored, as it is believed
		for i := 0; i < len(fields); i += 2 {
			if !reflect.DeepEqual(fields[i], fields[i+1]) {
				found = append(found, what)
				return
			}
		}
	}
	add("wrong codes", s.Failures, is.Failures, s.ShelfTries, is.ShelfTries, s.Apart.failuresOrNone(), is.Apart.failuresOrNone())
	add("lock", s.LockedUntil, is.LockedUntil, s.Apart.untilOrNone(), is.Apart.untilOrNone())
	add("codes sent", s.Sends, is.Sends, s.PlaceSends, is.PlaceSends, s.Pending, is.Pending, s.Ended, is.Ended)
	add("mails", s.LockMails, is.LockMails, s.Told, is.Told, s.Invited, is.Invited)
	add("recovery code", s.Recovery, is.Recovery)
	add("enrolling", s.Enrolling, is.Enrolling, s.EnrollSince, is.EnrollSince)
	add("remembered logins", s.Sessions, is.Sessions)
	add("authenticator app", s.Drift, is.Drift)
	add("directory", s.Contacts, is.Contacts)
	add("since when codes count", s.Since, is.Since, s.BackupSince, is.BackupSince, s.TokensSince, is.TokensSince, s.Offline, is.Offline)
	return found
}

// failuresOrNone and untilOrNone are of a t that may be nil.
func (t *FailureCounts) failuresOrNone() []time.Time {
	if t == nil {
		return nil
	}
	return t.Failures
}

func (t *FailureCounts) untilOrNone() *time.Time {
	if t == nil {
		return nil
	}
	return t.LockedUntil
}

// EndFutureTimes is BoundTimes, and drops the remembered logins that began or were used after now.
// It is for an administrator who knows that the clock was wrong.
func (s *State) EndFutureTimes(now time.Time, l Lengths) {
	s.BoundTimes(now, l)
	limit := now.Add(ClockSlack)
	s.Sessions = slices.DeleteFunc(slices.Clone(s.Sessions), func(n Session) bool {
		return n.Created.After(limit) || n.LastUsed.After(limit)
	})
	if len(s.Sessions) == 0 {
		s.Sessions = nil
	}
}

// codes bounds the times of codes that were sent, and of those that ended.
func (b *bounder) codes(s *State, l Lengths) {
	s.Pending = slices.Clone(s.Pending)
	for i := range s.Pending {
		b.atMost(&s.Pending[i].Sent, b.now)
		b.atMost(&s.Pending[i].Expires, b.now.Add(l.Code))
	}
	s.Ended = slices.Clone(s.Ended)
	for i := range s.Ended {
		e := &s.Ended[i]
		b.atMost(&e.At, b.now)
		b.atMost(&e.Sent, b.now)
		b.atMost(&e.Expires, b.now.Add(l.Code))
	}
}

// lock bounds the end of a lock.
func (b *bounder) lock(s *State, l Lengths) {
	if s.LockedBy != "" && s.LockedUntil != nil && s.LockedUntil.Before(earliest) && !b.now.Before(earliest) {
		until := b.now.Add(time.Duration(s.LockedFor)) // it was set by a clock that began with 1970
		s.LockedUntil, b.changed = &until, true
	}
	if s.LockedBy == "" || !b.now.Before(earliest) { // or an administrator's lock would end in 1970
		b.atMostOf(&s.LockedUntil, b.now.Add(s.lockLength(l)))
	}
}
