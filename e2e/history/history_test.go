package history

import (
	"strings"
	"testing"
)

// a history in which operations follow each other.
type story []Operation

// say adds an operation that is over before the next one begins.
func (s *story) say(a Action, o Outcome) { s.during(a, o, 0) }

// during adds an operation that lasts until so many more are over.
func (s *story) during(a Action, o Outcome, more int) {
	n := int64(len(*s))
	*s = append(*s, Operation{User: "games", Action: a, Outcome: o, Call: 1000 * n, Return: 1000*(n+int64(more)) + 500 + n})
}

// lost adds an operation of which nobody ever hears.
func (s *story) lost(a Action) {
	*s = append(*s, Operation{User: "games", Action: a, Call: 1000 * int64(len(*s)), Return: Never})
}

// with begins a story with somebody who has an app and backup codes.
func with(more func(s *story)) story {
	var s story
	s.say(Action{Kind: Begin, From: "home"}, Offered)
	s.say(Action{Kind: Enroll, Of: "app", N: 10, Set: "set"}, Accepted)
	more(&s)
	return s
}

func app(step int64) Action    { return Action{Kind: AppCode, Of: "app", N: step} }
func paper(n int64) Action     { return Action{Kind: BackupCode, Of: "set", N: n} }
func login(from string) Action { return Action{Kind: Begin, From: from} }

var (
	aGuess  = Action{Kind: Guess}
	aLock   = Action{Kind: Lock}
	aUnlock = Action{Kind: Unlock}
	aReset  = Action{Kind: Reset}
	aRevoke = Action{Kind: Revoke}
)

var five = Params{Failures: 5}

// wrong adds n wrong codes.
func (s *story) wrong(n int) {
	for range n {
		s.say(aGuess, Wrong)
	}
}

func TestGoodHistories(t *testing.T) {
	for name, more := range map[string]func(s *story){
		"right codes": func(s *story) {
			s.say(login("home"), Asked)
			s.say(app(11), Accepted)
			s.say(app(11), Used)
			s.say(app(10), Used)
			s.say(paper(3), Accepted)
			s.say(paper(3), Used)
			s.say(app(12), Accepted)
		},
		"a right code clears failures": func(s *story) {
			s.wrong(4)
			s.say(app(11), Accepted)
			s.wrong(4)
			s.say(aGuess, LastWrong)
			s.say(login("home"), Locked)
			s.say(app(12), Locked)
			s.say(aUnlock, Done)
			s.say(app(12), Accepted)
		},
		"codes at once": func(s *story) {
			for n := range 3 {
				s.during(app(11), []Outcome{Used, Accepted, Used}[n], 3)
			}
			for range 8 {
				s.during(aGuess, Locked, 20)
			}
			for range 4 {
				s.during(aGuess, Wrong, 20)
			}
			s.during(aGuess, LastWrong, 20)
		},
		"what nobody heard of happened": func(s *story) {
			s.say(app(11), Unknown)
			s.say(app(11), Used)
			s.wrong(3)
			s.say(aGuess, Unknown)
			s.say(aGuess, LastWrong)
		},
		"what nobody heard of did not": func(s *story) {
			s.say(app(11), Unknown)
			s.say(app(11), Accepted)
			s.wrong(3)
			s.say(aGuess, Unknown)
			s.wrong(1)
			s.say(aGuess, LastWrong)
		},
		"what was lost happens late": func(s *story) {
			s.lost(aReset)
			s.lost(aGuess)
			s.say(app(11), Accepted)
			s.wrong(3)
			s.say(aGuess, LastWrong)
			s.say(login("home"), Offered)
		},
		"reset and enrolled anew": func(s *story) {
			s.say(aReset, Done)
			s.say(login("home"), Offered)
			s.say(app(11), Refused)
			s.say(Action{Kind: Enroll, Of: "new app", N: 9, Set: "new set"}, Accepted)
			s.say(app(12), Wrong)
			s.say(paper(0), Wrong)
		},
		"remembered": func(s *story) {
			s.say(app(11), Accepted)
			s.say(Action{Kind: Remember, From: "home"}, Done)
			s.say(login("home"), Accepted)
			s.say(login("cafe"), Asked)
			s.say(aLock, Done)
			s.say(login("home"), Locked)
			s.say(aUnlock, Done)
			s.say(login("home"), Accepted)
			s.say(aRevoke, Done)
			s.say(login("home"), Asked)
		},
		"recovered": func(s *story) {
			s.wrong(4)
			s.say(aGuess, LastWrong)
			s.say(Action{Kind: Recover, N: 1}, Accepted)
			s.say(app(11), Accepted)
			s.say(aLock, Done)
			s.say(Action{Kind: Recover, N: 2}, Wrong)
		},
		"half a reset": func(s *story) {
			s.wrong(4)
			s.say(aReset, Unknown)
			s.say(login("home"), Offered)
			s.say(Action{Kind: Enroll, Of: "new app", N: 9, Set: "new set"}, Accepted)
			s.say(aGuess, Wrong)
		},
		"half an enrollment": func(s *story) {
			s.say(aReset, Done)
			s.say(Action{Kind: Enroll, Of: "new app", N: 9, Set: "new set"}, Unknown)
			s.say(Action{Kind: AppCode, Of: "new app", N: 9}, Used)
			s.say(Action{Kind: AppCode, Of: "new app", N: 9}, Accepted)
		},
		"a login within an enrollment": func(s *story) {
			s.say(aReset, Done)
			s.during(Action{Kind: Enroll, Of: "new app", N: 9, Set: "new set"}, Accepted, 1)
			s.say(Action{Kind: AppCode, Of: "new app", N: 11}, Accepted)
			s.say(Action{Kind: AppCode, Of: "new app", N: 11}, Used)
		},
		"a recovery code that waits for the lock": func(s *story) {
			s.wrong(4)
			s.during(Action{Kind: Recover, N: 1}, Accepted, 1)
			s.say(aGuess, LastWrong)
			s.say(login("home"), Asked)
		},
	} {
		if faults := checked(five, with(more)); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults[0])
		}
	}
}

func TestBadHistories(t *testing.T) {
	for _, test := range []struct {
		want string
		more func(s *story)
	}{
		{AcceptedTwice, func(s *story) { s.say(app(11), Accepted); s.say(app(11), Accepted) }},
		{AcceptedTwice, func(s *story) { s.say(app(12), Accepted); s.say(app(11), Accepted) }},
		{AcceptedTwice, func(s *story) { s.during(app(11), Accepted, 5); s.during(app(11), Accepted, 5) }},
		{AcceptedTwice, func(s *story) { s.say(paper(0), Accepted); s.lost(aGuess); s.say(paper(0), Accepted) }},
		{AcceptedTwice, func(s *story) {
			for n := range int64(2) {
				_ = n
				s.wrong(4)
				s.say(aGuess, LastWrong)
				s.say(Action{Kind: Recover, N: 1}, Accepted)
			}
		}},
		{FailureForgotten, func(s *story) { s.wrong(5) }},
		{FailureForgotten, func(s *story) {
			for range 5 {
				s.during(aGuess, Wrong, 9)
			}
		}},
		{FreeGuess, func(s *story) { s.wrong(4); s.say(aGuess, LastWrong); s.say(aGuess, Wrong) }},
		{FreeGuess, func(s *story) { s.say(aLock, Done); s.say(aGuess, LastWrong) }},
		{FreeGuess, func(s *story) { s.say(app(11), Accepted); s.say(aLock, Done); s.say(app(11), Used) }},
		{LetIn, func(s *story) { s.say(aLock, Done); s.say(app(11), Accepted) }},
		{LetIn, func(s *story) { s.wrong(4); s.say(aGuess, LastWrong); s.say(paper(1), Accepted) }},
		{LetIn, func(s *story) {
			s.say(Action{Kind: Remember, From: "home"}, Done)
			s.say(aLock, Done)
			s.say(login("home"), Accepted)
		}},
		{ResetUndone, func(s *story) { s.say(aReset, Done); s.say(app(11), Accepted) }},
		{ResetUndone, func(s *story) { s.say(aReset, Done); s.say(app(10), Used) }},
		{ResetUndone, func(s *story) {
			s.say(aReset, Done)
			s.say(Action{Kind: Enroll, Of: "new app", N: 9, Set: "new set"}, Accepted)
			s.say(paper(1), Accepted)
		}},
		{RevokedLetIn, func(s *story) {
			s.say(Action{Kind: Remember, From: "home"}, Done)
			s.say(Action{Kind: SetUp, Of: "new app"}, Done)
			s.say(login("home"), Accepted)
		}},
		{RevokedLetIn, func(s *story) { s.say(login("home"), Accepted) }},
		{WrongLetIn, func(s *story) { s.say(aGuess, Accepted) }},
		{EnrolledAnew, func(s *story) { s.say(login("home"), Offered) }},
		{LockedForNothing, func(s *story) { s.wrong(4); s.say(aUnlock, Done); s.say(aGuess, LastWrong) }},
		{LockedForNothing, func(s *story) { s.wrong(4); s.say(login("home"), Locked) }},
		{GoodRefused, func(s *story) { s.say(app(11), Wrong) }},
		{GoodRefused, func(s *story) { s.say(paper(1), Used) }},
	} {
		faults := checked(five, with(test.more))
		if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), test.want+":") {
			t.Errorf("want %q: %v", test.want, faults)
		}
	}
}

// checked checks a whole history.
func checked(p Params, history []Operation) []Fault { return NewChecker(p).Add(history) }
