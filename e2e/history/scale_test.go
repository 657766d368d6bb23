package history

import (
	"sync"
	"testing"
)

// 2000 guesses at once on one user, of which five are looked at, are checked in no time, and
// a sixth is found.
func TestManyAtOnce(t *testing.T) {
	at := func(locked, wrong int) story {
		return with(func(s *story) {
			for n := range locked + wrong {
				o := Locked
				if n%(locked/wrong) == 1 && n/(locked/wrong) < wrong {
					o = Wrong
				}
				s.during(aGuess, o, locked+wrong)
			}
			s.during(aGuess, LastWrong, locked+wrong)
		})
	}
	if faults := checked(five, at(1996, 4)); len(faults) > 0 {
		t.Errorf("%v", faults[0].Op)
	}
	if faults := checked(five, at(1995, 5)); len(faults) != 1 {
		t.Errorf("%d faults of six guesses", len(faults))
	}
}

// Operations that were lost do not slow down what follows.
func TestManyLost(t *testing.T) {
	c := NewChecker(five)
	r := &Recorder{}
	do := func(a Action, o Outcome) {
		if now := r.Begin(0, "games", a); o == Unknown {
			now.Lost()
		} else {
			now.End(o)
		}
	}
	do(Action{Kind: Enroll, Of: "app", N: 10, Set: "set"}, Accepted)
	for n := range int64(20) {
		do(aGuess, Unknown)
		do(app(11+2*n), Unknown)
		do(paper(n%4), Unknown)
		do(app(12+2*n), Accepted)
		do(aGuess, Wrong)
		do(aUnlock, Done)
		if faults := c.Add(r.Take()); len(faults) > 0 {
			t.Fatal(faults[0])
		}
	}
	do(app(12), Accepted)
	if faults := c.Add(r.Take()); len(faults) != 1 || faults[0].Names[0] != AcceptedTwice {
		t.Errorf("%v", faults)
	}
	do(app(12), Accepted)
	if faults := c.Add(r.Take()); len(faults) > 0 {
		t.Errorf("once more: %v", faults)
	}
}

// A Recorder gives out all that has ended, each at a moment of its own, and nothing before.
func TestRecorder(t *testing.T) {
	var r Recorder
	late := r.Begin(9, "man", aLock)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 100 {
				r.Begin(n, "games", aGuess).End(Wrong)
			}
		})
	}
	all.Wait()
	if got := r.Take(); got != nil {
		t.Errorf("%d operations while one is open", len(got))
	}
	late.Lost()
	got := r.Take()
	moments := map[int64]bool{}
	for _, o := range got {
		moments[o.Call], moments[o.Return] = true, true
	}
	if len(got) != 801 || len(moments) != 1602 || got[0].Return != Never || got[0].Outcome != Unknown {
		t.Errorf("%d operations at %d moments, the first %v", len(got), len(moments), got[0])
	}
	if got := r.Take(); got != nil {
		t.Errorf("%d operations twice", len(got))
	}
}
