package login

import (
	"strings"
	"testing"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// ownProcess is what code under alice's uid asks.
func ownProcess() mfa.Request {
	return mfa.Request{Service: "swaylock", User: "alice", UID: 1000}
}

// Code that runs as a user, without the first factor, shuts its own way of asking
// and never the logins that root asks for.
func TestWrongCodesOfAPeerThatIsNotRoot(t *testing.T) {
	d := newRecovering(t)
	d.login(ownProcess(), mfa.Exhausted, wrong("sent"), wrong("2 tries"), wrong("One try"), step{want: "ends here"})
	mine := d.code()
	d.login(ownProcess(), mfa.Exhausted, wrong("sent"), wrong("One try"), step{want: "locked here for 15 minutes"})
	d.login(ownProcess(), mfa.Exhausted, step{want: "locked here for 15 minutes"})
	st := d.state("alice")
	if _, _, locked := st.Locked(d.clock()); locked || len(st.Failures) != 0 || len(st.MethodFailures) != 0 || st.Apart == nil ||
		st.Apart.MethodFailures[mfa.Email] != 5 || st.Recovery != nil {
		t.Fatalf("state %+v, apart %+v", st, st.Apart)
	}
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if st := d.state("alice"); st.Apart == nil || st.Apart.LockedUntil == nil {
		t.Error("a right code at ssh opened what is counted apart")
	}
	if n := len(d.told("Wrong codes on")); n != 1 {
		t.Errorf("%d mails", n)
	}
	if was, err := d.accounts.Unlock(t.Context(), "alice", "root"); err != nil || !was {
		t.Fatal(was, err)
	}
	d.login(ownProcess(), mfa.Accepted, step{"was sent", say(mine), nil})
}

// A right code given to such a peer forgives only what it guessed.
func TestARightCodeApartForgivesNoLogin(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Exhausted, wrong("sent"), wrong("2 tries"), wrong("One try"), step{want: "ends here"})
	d.login(ownProcess(), mfa.Accepted, wrong("sent"), d.rightCodeAfter("2 tries"))
	if st := d.state("alice"); len(st.Failures) != 3 || st.MethodFailures[mfa.Email] != 3 || st.Apart != nil {
		t.Errorf("state %+v, apart %+v", st, st.Apart)
	}
	// A lock of logins holds here as well.
	d.login(request("alice"), mfa.Exhausted, wrong("sent"), wrong("One try"), step{want: "locked for 15 minutes"})
	d.login(ownProcess(), mfa.Exhausted, step{want: "locked for 15 minutes"})
}

// A hundred guesses apart disable the method for such peers and for nobody else.
func TestAHundredGuessesApart(t *testing.T) {
	d := newHarness(t, func(s *settings) {
		s.keeping.Lockout = account.LockoutConfig{Failures: 1000, Window: minutes(1), Duration: minutes(1)}
	})
	err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		st.UID, st.Apart = 1000, &mfa.FailureCounts{MethodFailures: map[mfa.Method]int{mfa.Email: mfa.MaxMethodFailures - 1}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.login(ownProcess(), mfa.Exhausted, wrong("sent"), step{want: "method is disabled"})
	d.login(ownProcess(), mfa.Exhausted, step{want: "disabled after 100"})
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if !strings.Contains(d.log.String(), "counted apart") {
		t.Error("the log does not say whose guesses they were")
	}
}
