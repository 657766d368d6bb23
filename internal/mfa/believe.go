package mfa

import (
	"slices"
	"time"
)

const (
	// ClockSlack is how far clocks may be apart of hosts that share a store, and how
	// far one is put right without notice.
	ClockSlack = 5 * time.Minute
	// RecoveryLifetime is how long a recovery code is good.
	RecoveryLifetime = 24 * time.Hour
	// LongestLock is how long a lock with an end may last.
	LongestLock = 365 * 24 * time.Hour
)

// earliest is before every time at which this program ran: a clock that says less
// is wrong (it begins with 1970 where a battery is empty), and nothing that it
// would end ends by it.
var earliest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Lengths are how long things last, as configured.
type Lengths struct {
	Code time.Duration // code.lifetime
	Lock time.Duration // lockout.duration; 0: no lock by wrong codes has an end
}

// Believe makes of s what can be believed of it at the time now: no time that was
// stored beyond now plus the length of its own. The clock may have run ahead when
// it was stored, or have been set back since. It says whether anything changed. The
// step of an app's code is not looked at: how long a step lasts is not known here.
func (s *State) Believe(now time.Time, l Lengths) (changed bool) {
	b := believer{now: now, limit: now.Add(ClockSlack)}
	// Failures counted in a time that has not come would count for years.
	s.Failures = b.past(s.Failures)
	s.Sends = b.past(s.Sends)
	s.LockMails = b.past(s.LockMails)
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
	s.Pending = slices.Clone(s.Pending)
	for i := range s.Pending {
		b.atMost(&s.Pending[i].Sent, now)
		b.atMost(&s.Pending[i].Expires, now.Add(l.Code))
	}
	s.Ended = slices.Clone(s.Ended)
	for i := range s.Ended {
		e := &s.Ended[i]
		b.atMost(&e.At, now)
		b.atMost(&e.Sent, now)
		b.atMost(&e.Expires, now.Add(l.Code))
	}
	if s.Apart != nil {
		t := *s.Apart
		t.Failures = b.past(t.Failures)
		if l.Lock > 0 && !now.Before(earliest) {
			b.atMostOf(&t.LockedUntil, now.Add(l.Lock))
		}
		s.Apart = &t
	}
	if s.Drift != nil {
		d := *s.Drift
		b.atMost(&d.At, now)
		s.Drift = &d
	}
	if s.Enrolling != nil {
		e := *s.Enrolling
		b.atMost(&e.Began, now)
		s.Enrolling = &e
	}
	if s.Invited != nil {
		i := *s.Invited
		b.atMost(&i.Sent, now)
		s.Invited = &i
	}
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
	if !now.Before(earliest) { // or an administrator's lock would end in 1970
		b.atMostOf(&s.LockedUntil, now.Add(s.lockLength(l)))
	}
	return b.changed
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

// A believer bounds times.
type believer struct {
	now, limit time.Time
	changed    bool
}

func (b *believer) late(t time.Time) bool { return t.After(b.limit) }

// past returns those of times that have come.
func (b *believer) past(times []time.Time) []time.Time {
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
func (b *believer) atMost(t *time.Time, limit time.Time) {
	if t.After(limit.Add(ClockSlack)) {
		*t, b.changed = limit, true
	}
}

// atMostOf is atMost for a time that may be none.
func (b *believer) atMostOf(t **time.Time, limit time.Time) {
	if *t == nil {
		return
	}
	at := **t
	b.atMost(&at, limit)
	*t = &at
}

// Ahead says for people which times of s have not come and cannot be, at the time
// now: the clock ran ahead, or was set back.
func (s State) Ahead(now time.Time) []string {
	limit := now.Add(ClockSlack)
	late := func(t time.Time) bool { return t.After(limit) }
	var found []string
	add := func(what string, is bool) {
		if is {
			found = append(found, what)
		}
	}
	add("wrong codes", slices.ContainsFunc(s.Failures, late) || s.Apart != nil && slices.ContainsFunc(s.Apart.Failures, late))
	add("codes sent", slices.ContainsFunc(s.Sends, late) ||
		slices.ContainsFunc(s.PlaceSends, func(p PlaceSend) bool { return late(p.At) }) ||
		slices.ContainsFunc(s.Pending, func(p PendingCode) bool { return late(p.Sent) }))
	add("mails", slices.ContainsFunc(s.LockMails, late) ||
		slices.ContainsFunc(s.Told, func(n AddressNoticed) bool { return late(n.At) }) || s.Invited != nil && late(s.Invited.Sent))
	add("lock apart", s.Apart != nil && s.Apart.LockedUntil != nil && s.Apart.LockedUntil.After(limit.Add(LongestLock)))
	add("lock", s.LockedUntil != nil && s.LockedUntil.After(limit.Add(s.lockLength(Lengths{}))))
	add("recovery code", s.Recovery != nil && s.Recovery.Expires.After(limit.Add(RecoveryLifetime)))
	add("enrolling", s.Enrolling != nil && late(s.Enrolling.Began) || s.EnrollSince != nil && late(*s.EnrollSince))
	add("remembered logins", slices.ContainsFunc(s.Sessions, func(n Session) bool { return late(n.Created) || late(n.LastUsed) }))
	return found
}

// Settle makes s as if no clock had been wrong, as an administrator wants: what
// Believe leaves, without remembered logins of a time that has not come.
func (s *State) Settle(now time.Time, l Lengths) {
	s.Believe(now, l)
	limit := now.Add(ClockSlack)
	s.Sessions = slices.DeleteFunc(slices.Clone(s.Sessions), func(n Session) bool {
		return n.Created.After(limit) || n.LastUsed.After(limit)
	})
	if len(s.Sessions) == 0 {
		s.Sessions = nil
	}
}
