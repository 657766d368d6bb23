package login

import (
	"testing"
	"time"

	"mfa/internal/mfa"
)

// byKeyFrom is a request behind an SSH key, where there may be a robot.
func byKeyFrom(user string) mfa.Request {
	req := request(user)
	req.SSHAuthInfo = keyInfo
	return req
}

// ignores is a step of who waits for a code and answers nothing.
func (d *harness) ignores(want string, mails int) step {
	return step{want, func() string {
		d.await(func() bool { return len(d.mails) >= mails })
		return ""
	}, nil}
}

// A robot that waits, and lets two codes expire and types none, gets a third
// only when it asks for one. A person does.
func TestRobotThatWaitsIsSentTwoCodes(t *testing.T) {
	d := newHarness(t)
	req := byKeyFrom("alice")
	for n := range 2 {
		d.login(req, mfa.NoConversation, d.ignores("being sent to", n+1), step{want: "", err: mfa.ErrNoConversation})
		d.advance(11 * time.Minute)
	}
	last := d.code()
	for range 20 {
		d.login(req, mfa.NoConversation, step{"No code was sent yet", say(""), nil}, step{want: "No code was sent yet", err: mfa.ErrNoConversation})
		d.advance(11 * time.Minute)
	}
	if n := d.mailCount(); n != 2 {
		t.Fatalf("%d mails", n)
	}
	d.login(req, mfa.Accepted, step{"No code was sent yet", say(last), nil}, step{"That code has expired", say("000000"), nil},
		step{"No code was sent yet", say("r"), nil}, step{"", d.code, nil})
	d.expectUncounted("alice")
	d.login(req, mfa.Accepted, step{"being sent to", func() string {
		d.await(func() bool { return len(d.mails) >= 4 })
		return d.code()
	}, nil})
}

// Elsewhere nothing changes; and after a day one more code is sent by itself.
func TestRobotThatWaitsElsewhere(t *testing.T) {
	d := newHarness(t)
	req := byKeyFrom("alice")
	for n := range 2 {
		d.login(req, mfa.NoConversation, d.ignores("being sent to", n+1), step{want: "", err: mfa.ErrNoConversation})
		d.advance(11 * time.Minute)
	}
	other := req
	other.RHost = "192.0.2.9"
	d.login(other, mfa.NoConversation, d.ignores("being sent to", 3), step{want: "", err: mfa.ErrNoConversation})
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.advance(25 * time.Hour)
	d.login(req, mfa.NoConversation, d.ignores("being sent to", 5), step{want: "", err: mfa.ErrNoConversation})
}

// Sshd's method password and its like cannot be asked, and say nothing of it. After
// two codes the prompt comes first there, and who refuses it is sent none.
func TestProgramThatRefusesIsSentTwoCodes(t *testing.T) {
	d := newHarness(t)
	for n := range 20 {
		d.login(request("alice"), mfa.NoConversation, step{want: map[bool]string{true: "A code was sent to", false: "A code is being sent to"}[n < 2], err: mfa.ErrNoConversation})
		d.advance(11 * time.Minute)
	}
	if n := d.mailCount(); n != 2 {
		t.Fatalf("%d mails", n)
	}
	d.login(request("alice"), mfa.Accepted, step{"being sent to", func() string {
		d.await(func() bool { return len(d.mails) >= 3 })
		return d.code()
	}, nil})
}

// A wrong code is an answer of somebody.
func TestWrongCodesAreOfSomebody(t *testing.T) {
	d := newHarness(t)
	for range 4 {
		d.login(request("alice"), mfa.WrongCode, wrong("A code was sent to"), step{want: "2 tries", err: mfa.ErrNoConversation})
		d.advance(16 * time.Minute)
	}
	if n := d.mailCount(); n != 4 {
		t.Errorf("%d mails", n)
	}
}

// Where another window of the same origin had a code sent, that one is asked for
// here, and guesses at it count.
func TestCodeOfAnotherWindow(t *testing.T) {
	d := newHarness(t)
	silent := mfa.Request{Service: "sudo", User: "alice", Flags: pamSilent}
	d.login(silent, mfa.Accepted, step{"No code was sent yet", func() string {
		d.login(silent, mfa.NoConversation, step{"No code was sent yet", say("r"), nil}, step{want: "", err: mfa.ErrNoConversation})
		return "000000"
	}, nil}, step{"not right", d.code, nil})
}
