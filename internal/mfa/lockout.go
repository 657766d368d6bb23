package mfa

import "time"

// MaxMethodFailures is how many wrong codes of one method in a row disable it
// until it is set up anew: NIST SP 800-63B-4, section 3.2.2.
const MaxMethodFailures = 100

// Disabled reports whether the method took MaxMethodFailures wrong codes: no code of it
// is accepted until it is set up anew.
func (s State) Disabled(m Method) bool { return s.MethodFailures[m] >= MaxMethodFailures }

// Locked reports whether logins are refused at the time now, and for how much longer.
// Hard means until an administrator unlocks; left is zero then.
func (s State) Locked(now time.Time) (left time.Duration, hard, locked bool) {
	return lockedAt(s.LockedUntil, s.LockedHard, now)
}

// Locked is State.Locked for what is counted apart.
func (t FailureCounts) Locked(now time.Time) (left time.Duration, hard, is bool) {
	return lockedAt(t.LockedUntil, t.LockedHard, now)
}

func lockedAt(until *time.Time, hard bool, now time.Time) (time.Duration, bool, bool) {
	switch {
	case hard:
		return 0, true, true
	case until != nil && now.Before(*until):
		return until.Sub(now), false, true
	}
	return 0, false, false
}

// Unlock ends a lock and drops the wrong codes that led to it and the recovery code that
// would end it. MethodFailures stay: they end when the method is set up anew.
func (s *State) Unlock() {
	s.Failures, s.LockedUntil, s.LockedHard, s.LockedBy, s.Recovery, s.LockedFor = nil, nil, false, "", nil, 0
	if s.Apart != nil {
		s.Apart = &FailureCounts{MethodFailures: s.Apart.MethodFailures}
	}
}

// Recent returns the tail of times, which are sorted, oldest first: those less than window
// before now. It shares memory with times.
func Recent(times []time.Time, now time.Time, window Duration) []time.Time {
	first := 0
	for first < len(times) && !times[first].After(now.Add(-time.Duration(window))) {
		first++
	}
	return times[first:]
}
