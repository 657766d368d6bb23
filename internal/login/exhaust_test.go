package login

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// fromAfar is request from an address that the user was never seen at.
func fromAfar(n int) mfa.Request {
	req := request("alice")
	req.RHost = fmt.Sprintf("203.0.113.%d", n)
	return req
}

// Limits that somebody with the password and no second factor can use up, and what is
// left to the user. Home is where the user was seen.
func TestWhatThePasswordAloneCanExhaust(t *testing.T) {
	const strangers = 40
	knock := func(d *harness, n int) {
		_, _ = d.engine.Login(d.t.Context(), fromAfar(n), promptFunc(func(context.Context, mfa.Prompt) (string, error) {
			return "", mfa.ErrNoConversation
		}))
	}
	for name, c := range map[string]struct {
		change func(*settings)
		attack func(d *harness)
		then   func(d *harness)
	}{
		"code.max_sends": {
			attack: func(d *harness) {
				for n := range 6 {
					knock(d, n)
				}
				if n := d.mailCount(); n != 5 { // one for the login at home
					t.Errorf("%d mails", n)
				}
			},
			then: func(d *harness) {
				for range 3 {
					d.login(request("alice"), mfa.Accepted, d.withCode())
				}
			},
		},
		"code.max_sends, of sudo on this machine": {
			attack: func(d *harness) {
				for n := range 6 {
					knock(d, n)
				}
			},
			then: func(d *harness) {
				d.login(mfa.Request{Service: "sudo", User: "alice", TTY: "/dev/pts/1"}, mfa.Accepted, d.withCode())
			},
		},
		"code.max_sends of one": {
			change: func(s *settings) { s.asking.Code.MaxSends = 1 },
			attack: func(d *harness) { knock(d, 1); knock(d, 2); d.advance(15 * time.Minute) },
			then:   func(d *harness) { d.login(request("alice"), mfa.Accepted, d.withCode()) },
		},
		"the wait of code.resend_after": {
			attack: func(d *harness) { knock(d, 1) },
			then:   func(d *harness) { d.login(request("alice"), mfa.Accepted, d.withCode()) },
		},
		"the codes that are kept": {
			change: func(s *settings) { s.asking.Code.MaxSends = 100 },
			attack: func(d *harness) {
				d.login(request("alice"), mfa.NoConversation, step{"sent to", nil, mfa.ErrNoConversation})
				d.remembered = d.code()
				for n := range strangers {
					knock(d, n)
				}
			},
			then: func(d *harness) {
				d.login(request("alice"), mfa.Accepted, step{"sent to", say(d.remembered), nil})
			},
		},
		"the mails about locks": {
			change: recovering,
			attack: func(d *harness) {
				for range 7 {
					d.lockFrom(fromAfar(1))
					d.advance(16 * time.Minute)
					d.login(request("alice"), mfa.Accepted, d.withCode())
				}
				if n := len(d.told("Second factor locked")); n != 5 {
					t.Errorf("%d mails about locks", n)
				}
				if _, err := d.accounts.Sweep(d.t.Context()); err != nil {
					t.Fatal(err)
				}
				d.lockFrom(fromAfar(1))
			},
			then: func(d *harness) {
				d.login(request("alice"), mfa.Accepted,
					step{"locked for 15 minutes", say(d.recovery(5)), nil}, step{want: "sent", answer: d.code})
				d.lockFrom(fromAfar(1)) // and there is a next one
				d.login(request("alice"), mfa.Accepted,
					step{"locked for 15 minutes", say(d.recovery(6)), nil}, step{want: "sent", answer: d.code})
			},
		},
		"a recovery code, once": {
			change: recovering,
			attack: func(d *harness) { d.lockFrom(fromAfar(1)) },
			then: func(d *harness) {
				used := d.recovery(1)
				d.login(request("alice"), mfa.Accepted, step{"locked", say(used), nil}, step{want: "sent", answer: d.code})
				d.lockFrom(fromAfar(1))
				d.login(request("alice"), mfa.Exhausted, step{"locked", say(used), nil}, step{"not right", say(""), nil}, step{want: "ends here"})
			},
		},
		"the tries of a recovery code": {
			change: recovering,
			attack: func(d *harness) {
				d.lockFrom(fromAfar(1))
				for n := range strangers {
					_, _ = d.engine.Login(d.t.Context(), fromAfar(n), promptFunc(guessWrongly))
				}
				if tries := d.state("alice").Recovery.Tries; tries != 15 {
					t.Errorf("%d tries", tries)
				}
			},
			then: func(d *harness) {
				d.login(request("alice"), mfa.Accepted, step{"locked", say(d.recovery(1)), nil}, step{want: "sent", answer: d.code})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, func(s *settings) {
				if c.change != nil {
					c.change(s)
				}
			})
			d.login(request("alice"), mfa.Accepted, d.withCode()) // seen at home from now on
			d.advance(time.Hour)
			c.attack(d)
			c.then(d)
		})
	}
}

// Of texts, which cost money, a stranger is refused some that the user still has.
func TestStrangersAreSaidToTheLedger(t *testing.T) {
	d := newTexting(t, "")
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.login(fromAfar(1), mfa.Accepted, d.withCode())
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if want := []bool{false, true, false}; !slices.Equal(d.strange, want) {
		t.Errorf("strangers: %v, want %v", d.strange, want)
	}
}
