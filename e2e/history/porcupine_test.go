package history

import (
	"math/rand/v2"
	"testing"

	"github.com/anishathalye/porcupine"
)

// byPorcupine says whether a history of one user is good, by a checker that others wrote.
func byPorcupine(p Params, ops []Operation) bool {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, out any) (next []any) {
			o := Operation{Action: in.(Action), Outcome: out.(Outcome)}
			if o.Outcome == Unknown || o.Outcome == Refused {
				next = append(next, s)
			}
			for _, r := range p.decide(s.(state), o.Action) {
				if o.Outcome == Unknown || r.Outcome == o.Outcome {
					next = append(next, r.next)
				}
			}
			return next
		},
	}
	var all []porcupine.Operation
	for _, o := range ops {
		all = append(all, porcupine.Operation{ClientId: o.Client, Input: o.Action, Output: o.Outcome, Call: o.Call, Return: o.Return})
	}
	return porcupine.CheckOperations(model.ToModel(), all)
}

// invent returns a history of up to n operations. Most are what a daemon could have done.
func invent(r *rand.Rand, p Params, n int) (ops []Operation) {
	actions := []Action{
		login("home"), app(11), app(12), app(13), paper(0), paper(1), aGuess, aGuess, aGuess, aLock, aUnlock, aReset, aRevoke,
		{Kind: Remember, From: "home"},
		{Kind: Recover, N: 1},
		{Kind: Recover, N: 2},
		{Kind: Enroll, Of: "app", N: 10, Set: "set"},
		{Kind: Enroll, Of: "new app", N: 10, Set: "set"},
		{Kind: SetUp, Of: "new app"},
		{Kind: NewCodes, Set: "new set"},
	}
	var s state
	for i := range n {
		at := int64(1000 * i)
		o := Operation{User: "games", Client: i, Action: actions[r.IntN(len(actions))], Call: at - r.Int64N(2500), Return: at + r.Int64N(2500)}
		if i == 0 {
			o.Action = Action{Kind: Enroll, Of: "app", N: 10, Set: "set"}
		}
		may := p.decide(s, o.Action)
		way := may[r.IntN(len(may))]
		o.Outcome = way.Outcome
		switch r.IntN(12) {
		case 0:
			o.Outcome = Unknown
			if r.IntN(2) == 0 {
				o.Return = Never
			}
			if r.IntN(2) == 0 {
				way.next = s
			}
		case 1:
			o.Outcome = Outcome(1 + r.IntN(int(Done)))
		}
		s = way.next
		ops = append(ops, o)
	}
	// No two things happen at one moment.
	for i := range ops {
		ops[i].Call = ops[i].Call*100 + int64(2*i)
		if ops[i].Return != Never {
			ops[i].Return = ops[i].Return*100 + int64(2*i+1)
		}
	}
	return ops
}

// The checker agrees with porcupine, which knows of no action that happens in parts.
func TestPorcupineAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	count := map[bool]int{}
	for range 1500 {
		p := Params{Failures: 2 + r.IntN(2), OldViews: r.IntN(4) == 0, whole: true}
		ops := invent(r, p, 2+r.IntN(9))
		faults := checked(p, ops)
		if good := byPorcupine(p, ops); good != (len(faults) == 0) {
			t.Fatalf("porcupine says %v, we say %v:%s", good, faults, lines(ops))
		}
		count[len(faults) == 0]++
	}
	if count[true] < 300 || count[false] < 300 {
		t.Errorf("good and bad ones: %v", count)
	}
	t.Log(count)
}
