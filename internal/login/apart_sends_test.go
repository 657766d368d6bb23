package login

import (
	"fmt"
	"testing"

	"mfa/internal/mfa"
)

// A process says itself which service it is. By another name for each try
// it gets no more codes sent than by one, and ends none that a login waits for.
func TestSendsOfAPeerThatIsNotRoot(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.WrongCode, wrong("was sent"), step{want: "2 tries", err: mfa.ErrNoConversation})
	code, sent := d.code(), 0
	for i := range 40 {
		req := ownProcess()
		req.Service = fmt.Sprint("lock", i)
		if sent++; sent <= 5 {
			d.login(req, mfa.NoConversation, step{want: "was sent", err: mfa.ErrNoConversation})
		} else {
			d.login(req, mfa.Exhausted, step{want: "Too many codes"})
		}
	}
	d.await(func() bool { return len(d.mails) == 6 })
	d.login(request("alice"), mfa.Accepted, step{"still good", say(code), nil})
}

// Text messages cost money and have limits: a process leaves some for logins.
func TestTextsOfAPeerThatIsNotRoot(t *testing.T) {
	d := newTexting(t, "")
	d.login(ownProcess(), mfa.NoConversation, step{want: "was sent", err: mfa.ErrNoConversation})
	d.login(request("alice"), mfa.NoConversation, step{want: "was sent", err: mfa.ErrNoConversation})
	if fmt.Sprint(d.strange) != "[true false]" {
		t.Errorf("strangers: %v", d.strange)
	}
}

// Recovery codes are as long as no guess finds. Those of a process use up none of the
// tries that the user has at a login.
func TestRecoveryCodesGuessedByAPeerThatIsNotRoot(t *testing.T) {
	d := newRecovering(t)
	d.lock()
	for range 10 { // three each
		if _, err := d.engine.Login(t.Context(), ownProcess(), promptFunc(guessWrongly)); err != nil {
			t.Fatal(err)
		}
	}
	d.login(request("alice"), mfa.Accepted, step{"Recovery code: ", say(d.recovery(1)), nil}, d.withCode())
}
