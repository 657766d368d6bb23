package login

import (
	"testing"
	"time"

	"mfa/internal/mfa"
)

// How far a clock ran ahead: local time taken for UTC, and an empty battery.
var ahead = map[string]time.Duration{"two hours": 2 * time.Hour, "ten years": 10 * 365 * 24 * time.Hour}

// After the clock ran ahead nobody is shut out, and nothing is good for longer
// than it should be.
func TestClockThatRanAhead(t *testing.T) {
	for name, off := range ahead {
		t.Run(name, func(t *testing.T) {
			t.Run("sends", func(t *testing.T) {
				d := newHarness(t, func(s *settings) { s.asking.Code.MaxSends = 1 })
				d.advance(off)
				d.login(request("alice"), mfa.Accepted, d.withCode())
				d.advance(-off)
				d.login(request("alice"), mfa.Accepted, d.withCode())
			})
			t.Run("code", func(t *testing.T) {
				d := newHarness(t)
				d.advance(off)
				d.login(request("alice"), mfa.NoConversation, step{want: "sent to", err: mfa.ErrNoConversation})
				d.advance(-off)
				d.login(request("alice"), mfa.NoConversation, step{want: "good for 10 minutes", err: mfa.ErrNoConversation})
				d.advance(15 * time.Minute)
				d.login(request("alice"), mfa.Accepted, d.withCode()) // another one
				if n := d.mailCount(); n != 2 {
					t.Errorf("%d mails", n)
				}
			})
			t.Run("failures", func(t *testing.T) {
				d := newHarness(t, func(s *settings) { s.keeping.Lockout.Failures = 3 })
				d.advance(off)
				d.login(request("alice"), mfa.WrongCode, wrong("sent"), wrong("not right"), step{want: "not right", err: mfa.ErrNoConversation})
				d.advance(-off)
				d.login(request("alice"), mfa.WrongCode, wrong("good for"), step{want: "not right", err: mfa.ErrNoConversation})
				if st := d.state("alice"); len(st.Failures) != 1 {
					t.Errorf("failures %v", st.Failures)
				}
			})
			t.Run("lock", func(t *testing.T) {
				d := newRecovering(t)
				d.advance(off)
				d.lock()
				d.advance(-off)
				d.login(request("alice"), mfa.Exhausted, step{"Recovery code", say(""), nil}, step{want: "ends here"})
				d.advance(20 * time.Minute)
				d.login(request("alice"), mfa.Accepted, d.withCode())
			})
			t.Run("administrator's lock", func(t *testing.T) {
				d := newHarness(t)
				id, month := mfa.Identity{Name: "alice", UID: 1000}, 30*24*time.Hour
				d.advance(off)
				if _, err := d.accounts.Lock(t.Context(), id, month, "root"); err != nil {
					t.Fatal(err)
				}
				d.advance(-off)
				d.login(request("alice"), mfa.Exhausted, step{want: "locked"})
				d.advance(month - time.Hour)
				d.login(request("alice"), mfa.Exhausted, step{want: "locked"})
				d.advance(time.Hour + mfa.ClockSlack)
				if off > month {
					d.login(request("alice"), mfa.Accepted, d.withCode())
				}
			})
		})
	}
}

// An app's step from a time that has not come is refused as long as nobody knows
// which time is right, and then the app is good again, each code once.
func TestAppAfterAClockThatRanAhead(t *testing.T) {
	for name, off := range ahead {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, enrolling)
			a, _ := withApp(d)
			in := func(want string) {
				t.Helper()
				d.login(request("bob"), mfa.Accepted, step{want, a.shows(), nil})
			}
			d.advance(off)
			in("authenticator app")
			d.advance(time.Minute - off)
			d.doubt = true
			const doubted = "clock of this machine may be wrong"
			d.login(request("bob"), mfa.NoConversation, step{"authenticator app", a.shows(), nil}, step{want: doubted},
				step{want: "How do you want", err: mfa.ErrNoConversation})
			if st := d.state("bob"); len(st.Failures) != 0 {
				t.Errorf("failures %v", st.Failures)
			}
			d.doubt = false
			in("authenticator app")
			d.login(request("bob"), mfa.NoConversation, step{"authenticator app", a.shows(), nil},
				step{want: "used already", err: mfa.ErrNoConversation})
			d.advance(time.Minute)
			in("authenticator app")

			d.advance(off)
			in("authenticator app")
			d.advance(time.Minute - off)
			d.doubt = true // and no time service will ever tell
			if _, err := d.accounts.Unlock(t.Context(), "bob", "root"); err != nil {
				t.Fatal(err)
			}
			in("authenticator app")
		})
	}
}
