package history

import (
	"fmt"
	"slices"
	"strings"
)

// The names of faults.
const (
	AcceptedTwice    = "accepted twice"
	FailureForgotten = "failure forgotten"
	FreeGuess        = "free guess"
	LetIn            = "locked person let in"
	ResetUndone      = "reset undone"
	WrongLetIn       = "wrong code let in"
	RevokedLetIn     = "forgotten login let in"
	EnrolledAnew     = "enrollment forgotten"
	LockedForNothing = "locked out for nothing"
	GoodRefused      = "good code refused"
	Other            = "against the model"
)

// A Fault is an operation that cannot have gone as it did, whatever the order was.
type Fault struct {
	Names  []string    // what it looks like: of the names above, one or more
	Op     Operation   // it
	Model  []Outcome   // how it could have gone
	Before []Operation // what it contradicts
	Last   []Operation // of the user, before it
}

// String tells it to people.
func (f Fault) String() string {
	var may []string
	for _, o := range f.Model {
		may = append(may, o.String())
	}
	text := fmt.Sprintf("%s: %v\nThe model has: %s.", strings.Join(f.Names, "; "), f.Op, strings.Join(may, "; "))
	if len(f.Before) > 0 {
		text += "\nBefore it:" + lines(f.Before)
	}
	return text + "\nLast of this user:" + lines(f.Last)
}

// told is how many operations before a fault it tells.
const told = 40

// fault returns the fault of an operation that cannot have happened in any of some ways.
func (t *timeline) fault(o Operation, ways []way) *Fault {
	f := &Fault{Op: o}
	for _, w := range ways {
		for _, r := range t.params.decide(w.state, o.Action) {
			f.Model = append(f.Model, r.Outcome)
			f.Names = append(f.Names, t.name(o, r.Outcome))
		}
	}
	f.Model, f.Names = distinct(f.Model), distinct(f.Names)
	past := t.past[:len(t.past)-1] // it is the last
	for _, name := range f.Names {
		f.Before = append(f.Before, contradicted(name, o, past)...)
	}
	f.Last = slices.Clone(past[max(0, len(past)-told):])
	return f
}

// distinct returns all in order, each once.
func distinct[T ~string | ~uint8](all []T) []T {
	slices.Sort(all)
	return slices.Compact(all)
}

// A sign is how a fault shows.
type sign struct {
	name string
	is   func(o Operation, model Outcome) bool // how it went, and how it would have to
}

// signs are those of all faults; the first that is seen counts.
var signs = []sign{
	{EnrolledAnew, func(o Operation, _ Outcome) bool { return o.Outcome == Offered }},
	{LockedForNothing, func(o Operation, _ Outcome) bool { return o.Outcome == Locked }},
	{LockedForNothing, func(o Operation, model Outcome) bool { return o.Outcome == LastWrong && model == Wrong }},
	{AcceptedTwice, func(o Operation, model Outcome) bool {
		return o.Outcome == Accepted && (model == Used || o.Kind == Recover)
	}},
	{LetIn, func(o Operation, model Outcome) bool { return o.Outcome == Accepted && model == Locked }},
	{RevokedLetIn, func(o Operation, _ Outcome) bool { return o.Outcome == Accepted && o.Kind == Begin }},
	{WrongLetIn, func(o Operation, _ Outcome) bool { return o.Outcome == Accepted }},
	{FailureForgotten, func(o Operation, model Outcome) bool { return o.Outcome == Wrong && model == LastWrong }},
	{FreeGuess, func(o Operation, model Outcome) bool { return o.lookedAt() && model == Locked }},
	{ResetUndone, func(o Operation, model Outcome) bool { return o.lookedAt() && model == Refused }},
	{GoodRefused, func(o Operation, model Outcome) bool { return o.lookedAt() && (model == Accepted || model == Used) }},
}

// name says what it looks like that o went as it did where the model has another outcome.
func (t *timeline) name(o Operation, model Outcome) string {
	for _, s := range signs {
		if !s.is(o, model) {
			continue
		}
		if s.name == WrongLetIn && o.Kind != Guess && lastOf(t.past, Reset) != nil {
			return ResetUndone // the code was good before
		}
		return s.name
	}
	return Other
}

// lookedAt reports whether something was told of a code.
func (o Operation) lookedAt() bool {
	return o.Outcome == Accepted || o.Outcome == Wrong || o.Outcome == LastWrong || o.Outcome == Used
}

// contradicted returns the operations that make a fault of o.
func contradicted(name string, o Operation, past []Operation) []Operation {
	switch name {
	case AcceptedTwice:
		return o.spentBy(past)
	case FailureForgotten, FreeGuess, LetIn:
		return counted(past)
	case ResetUndone:
		return lastOf(past, Reset)
	case RevokedLetIn:
		return lastOf(past, Reset, Revoke, SetUp, NewCodes, Recover)
	case LockedForNothing:
		return lastOf(past, Lock, Unlock, Reset)
	}
	return nil
}

// spentBy returns the operations that used up the code of o.
func (o Operation) spentBy(past []Operation) (all []Operation) {
	for _, p := range past {
		ofSame := p.Of == o.Of && (p.Kind == o.Kind || p.Kind == Enroll && o.Kind == AppCode)
		if p.Outcome == Accepted && ofSame && (p.N == o.N || p.Kind != BackupCode && p.N > o.N) {
			all = append(all, p)
		}
	}
	return all
}

// counted returns the wrong codes and locks since something ended such.
func counted(past []Operation) (all []Operation) {
	for i := len(past) - 1; i >= 0 && !past[i].clears(); i-- {
		if past[i].Outcome == Wrong || past[i].Outcome == LastWrong || past[i].Kind == Lock {
			all = append(all, past[i])
		}
	}
	slices.Reverse(all)
	return all
}

// clears reports whether an operation ends failures and locks.
func (o Operation) clears() bool {
	return o.Kind == Unlock || o.Kind == Reset || o.Kind != Begin && o.Outcome == Accepted
}

// lastOf returns the last operation of some kinds, if there is one.
func lastOf(past []Operation, kinds ...Kind) []Operation {
	for _, o := range slices.Backward(past) {
		if slices.Contains(kinds, o.Kind) {
			return []Operation{o}
		}
	}
	return nil
}
