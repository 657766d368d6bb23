package history

import (
	"slices"
	"strings"
)

// Params are the settings of mfad that the model needs.
type Params struct {
	Failures int // lockout.failures

	// OldViews says that a login may ask for a code by what was so a moment ago: what a host
	// of a fleet has in memory decides nothing, and the answer is looked at by what is stored.
	OldViews bool

	whole bool // nothing is ever midway
}

// A state is what mfad knows of a user. Apps and sets have the names of the run.
type state struct {
	app        string
	step       int64 // the newest that was used
	set        string
	spent      uint64 // backup codes of it, a bit each
	failures   int
	locked     bool
	byAdmin    bool   // so no recovery code ends the lock
	half       bool   // what was set up last may not be noted as that yet; see midway
	recovered  int64  // the newest recovery code that was used
	remembered string // places, in their order, each with a line end behind it
}

// A result is one way in which an action can go.
type result struct {
	Outcome
	next state
}

// decide returns the ways in which an action can go where the user is as in s. It does not
// say that anything can be Refused.
func (p Params) decide(s state, a Action) []result {
	switch a.Kind {
	case Begin:
		return p.begin(s, a)
	case AppCode, BackupCode, Guess:
		return p.answer(s, a)
	case Remember:
		return one(s.remember(a))
	case Recover:
		return s.recover(a)
	case Enroll:
		return one(s.enroll(a))
	}
	return one(Done, s.change(a))
}

func one(o Outcome, next state) []result { return []result{{o, next}} }

// enrolled reports whether a second factor is set up.
func (s state) enrolled() bool { return s.app != "" || s.set != "" }

// begin is a login before anything is typed. It changes nothing. Who is remembered may be
// asked all the same: after the secrets are sealed by a new key, the remembered logins follow
// a moment later, or not at all where mfad is killed in between.
func (p Params) begin(s state, a Action) []result {
	if p.OldViews {
		return append(Params{}.begin(s, a), result{Asked, s})
	}
	switch {
	case s.locked:
		return one(Locked, s)
	case !s.enrolled():
		return one(Offered, s)
	case s.knows(a.From):
		return []result{{Accepted, s}, {Asked, s}}
	}
	return one(Asked, s)
}

// answer is a code that is typed.
func (p Params) answer(s state, a Action) []result {
	switch {
	case s.locked:
		return one(Locked, s)
	case !s.enrolled():
		return one(Refused, s)
	case !s.has(a):
		return one(p.fail(s))
	case s.used(a):
		return one(Used, s)
	}
	right := result{Accepted, s.spend(a)}
	if s.half {
		return []result{right, {Used, s}}
	}
	return []result{right}
}

// has reports whether a code is of what is set up.
func (s state) has(a Action) bool {
	return a.Kind == AppCode && a.Of == s.app || a.Kind == BackupCode && a.Of == s.set
}

// used reports whether a code of what is set up is used.
func (s state) used(a Action) bool {
	if a.Kind == AppCode {
		return a.N <= s.step
	}
	return s.spent&(1<<a.N) != 0
}

// spend uses a code, and clears the failures.
func (s state) spend(a Action) state {
	if s.failures = 0; a.Kind == AppCode {
		s.step = a.N
	} else {
		s.spent |= 1 << a.N
	}
	return s
}

// fail counts a wrong code.
func (p Params) fail(s state) (Outcome, state) {
	if s.failures++; s.failures < p.Failures {
		return Wrong, s
	}
	s.failures, s.locked, s.byAdmin = 0, true, false
	return LastWrong, s
}

// remember notes a place, where nothing has changed since the code was right.
func (s state) remember(a Action) (Outcome, state) {
	if s.locked || !s.enrolled() {
		return Refused, s
	}
	if !s.knows(a.From) {
		places := append(strings.SplitAfter(s.remembered, "\n"), a.From+"\n")
		slices.Sort(places)
		s.remembered = strings.Join(places, "")
	}
	return Done, s
}

// knows reports whether logins from a place are remembered.
func (s state) knows(place string) bool {
	return slices.Contains(strings.SplitAfter(s.remembered, "\n"), place+"\n")
}

// recover ends a lock. A code that is not used may be void all the same, for a newer one.
func (s state) recover(a Action) []result {
	switch {
	case !s.locked:
		return one(Accepted, s) // the lock has ended meanwhile
	case s.byAdmin, a.N <= s.recovered:
		return one(Wrong, s)
	}
	void := result{Wrong, s}
	s = s.unlock()
	s.recovered, s.remembered = a.N, ""
	return []result{void, {Accepted, s}}
}

// enroll is what a user sets up who has nothing.
func (s state) enroll(a Action) (Outcome, state) {
	switch {
	case s.half && s.app == a.Of: // its first half has happened
		s.step, s.half = max(s.step, a.N), false
		return Accepted, s
	case s.locked:
		return Locked, s
	case s.enrolled():
		return Refused, s
	}
	s = s.begun(a)
	s.step, s.half = a.N, false
	return Accepted, s
}

// begun is s with what is set up by Enroll, while its code does not count as used.
func (s state) begun(a Action) state {
	s.app, s.set, s.spent, s.failures, s.remembered, s.half = a.Of, a.Set, 0, 0, "", true
	return s
}

// change is what an administrator does.
func (s state) change(a Action) state {
	switch a.Kind {
	case SetUp:
		s.app, s.remembered, s.half = a.Of, "", false
	case NewCodes:
		s.set, s.spent, s.remembered = a.Set, 0, ""
	case Lock:
		s = s.unlock()
		s.locked, s.byAdmin = true, true
	case Unlock:
		s = s.unlock()
	case Reset:
		s = state{}
	case Revoke:
		s.remembered = ""
	}
	return s
}

// midway is s after the first write of an action that makes several, or s. What is enrolled and
// what is remembered of a user are two records. Nobody was let in by the code of an Enroll
// then, so it may count as new; and after a reset codes may count as used that are not.
func (s state) midway(a Action) state {
	switch {
	case a.Kind == Reset:
		s.app, s.set, s.spent, s.remembered, s.half = "", "", 0, "", false
	case a.Kind == Enroll && !s.locked && !s.enrolled():
		s = s.begun(a)
	case a.Kind == SetUp && s.app != a.Of:
		s.app, s.remembered, s.half = a.Of, "", true
	}
	return s
}

func (s state) unlock() state {
	s.locked, s.byAdmin, s.failures = false, false, 0
	return s
}
