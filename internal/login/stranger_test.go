package login

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
)

func TestNoticeOfANewAddress(t *testing.T) {
	from := func(address string) mfa.Request {
		req := request("alice")
		req.RHost = address
		return req
	}
	d := newRecovering(t)
	fail := func(address string) {
		t.Helper()
		d.login(from(address), mfa.WrongCode, wrong("sent"), step{want: "not right", err: mfa.ErrNoConversation})
		d.advance(15 * time.Minute) // what was sent and counted is forgotten
	}
	fail("192.0.2.1") // known from a right code
	fail("2001:db8::1")
	fail("2001:db8::2") // the same network
	fail("")            // this very machine
	d.await(func() bool { return len(d.mails) == 1+4+1 })
	m := d.told("Wrong code")
	if len(m) != 1 || !strings.Contains(m[0].Text, "2001:db8::1") || !strings.Contains(m[0].Text, "sshd") {
		t.Fatalf("mails %+v", m)
	}
	d.advance(24 * time.Hour)
	fail("2001:db8::2")
	d.await(func() bool { return len(d.mails) == 8 })

	for _, nowhere := range []string{"127.0.0.1", "::1", "fe80::1", "desk.example.com"} {
		fail(nowhere) // no place, and so no new one
	}
	d.await(func() bool { return len(d.mails) == 8+4 })
	d.advance(24 * time.Hour)
	d.login(from("127.0.0.1"), mfa.Accepted, d.withCode())
	fail("127.0.0.1")
	d.await(func() bool { return len(d.mails) == 12+1+1 })

	d.login(from("192.0.2.7"), mfa.Accepted, wrong("sent"), step{"not right", d.code, nil}) // a slip
	fail("192.0.2.7")
	if n := len(d.told("Wrong code")); n != 2 {
		t.Errorf("%d notices", n)
	}
}

func TestNoticesAreBoundedAndCanBeOff(t *testing.T) {
	d := newRecovering(t, func(s *settings) { s.keeping.Lockout.Failures, s.asking.Code.MaxSends = 100, 100 })
	off := newRecovering(t, func(s *settings) { s.keeping.Lockout.Notify = false })
	for i := range 12 {
		req := request("alice")
		req.RHost = fmt.Sprintf("198.51.100.%d", i)
		d.login(req, mfa.WrongCode, wrong("sent"), step{want: "not right", err: mfa.ErrNoConversation})
		if i == 0 {
			off.login(req, mfa.WrongCode, wrong("sent"), step{want: "not right", err: mfa.ErrNoConversation})
		}
	}
	d.await(func() bool { return len(d.mails) >= 1+12+10 })
	if n := len(d.told("Wrong code")); n != 10 {
		t.Errorf("%d notices, want 10 a day", n)
	}
	if n := len(off.told("Wrong code")); n != 0 {
		t.Errorf("%d notices with lockout.notify off", n)
	}
}

func TestAddressesSeenAreBounded(t *testing.T) {
	d := newRecovering(t, func(s *settings) { s.asking.Code.MaxSends = 100 })
	for i := range 40 {
		req := request("alice")
		req.RHost = fmt.Sprintf("198.51.100.%d", i)
		d.login(req, mfa.Accepted, d.withCode())
	}
	seen := d.state("alice").Seen
	if len(seen) != 32 || seen[31] != "198.51.100.39" {
		t.Errorf("seen %q", seen)
	}
}

// A login from a new address that ends without a wrong code is no news: nobody guessed.
func TestNoNoticeWithoutAWrongCode(t *testing.T) {
	d := newRecovering(t)
	for _, address := range []string{"198.51.100.1", "198.51.100.2"} {
		req := request("alice")
		req.RHost = address
		d.login(req, mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	}
	d.login(request("alice"), mfa.Accepted, d.withCode()) // its mail comes after those of before
	d.await(func() bool { return len(d.mails) >= 2 })
	if n := len(d.told("Wrong code")); n != 0 {
		t.Errorf("%d notices of a wrong code that nobody typed", n)
	}
}
