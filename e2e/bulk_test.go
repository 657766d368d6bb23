package e2e

import (
	"testing"
	"time"
)

// An address that an administrator entered waits for its confirmation: the user is
// told, once more when asked for, and the first code typed back confirms it.
func TestConfirmationsAreResent(t *testing.T) {
	s, clock := inProcess(t)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	for _, a := range []account{alice, bob} {
		s.mustControl("enroll", a.name, "--email", a.email)
		s.awaitNotice(a, 1, "Your second factor on "+hostName, "The next login that asks for a code by email sends it here", a.name)
	}
	s.login(alice, 1)
	clock.pass(6 * time.Minute)
	expectSaid(t, s.mustControl("confirm", "resend", "--all"), "1 user of 1 told")
	s.awaitNotice(bob, 2, "Your second factor")
	s.expectLetters(alice, 2) // the first message, and the code
	s.login(bob, 1)
	expectSaid(t, s.mustControl("confirm", "resend", "--all"), "0 users of 0 told")
	s.expectLetters(bob, 3)
}

func TestResetAll(t *testing.T) {
	s, _ := inProcess(t)
	alice, bob := s.newUser("alice"), s.newUser("bob")
	s.login(alice, 1)
	s.login(bob, 1)
	expectSaid(t, s.mustControl("reset", "--all", "--yes"), "2 users of 2 reset")
	for _, a := range []account{alice, bob} {
		s.awaitNotice(a, 1, "Second factor removed")
		s.begin(a).expect(t, choicePrompt) // enrolls anew
	}
}
