package account_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// at is alice logging in from there.
func at(address string) mfa.Origin { return mfa.Origin{Service: "sshd", Address: address} }

// The user is told of wrong codes from where no right one ever came from, once a day and
// place; of what is no place nothing is known, and nothing told.
func TestTellOfFailures(t *testing.T) {
	muted := strict()
	muted.Lockout.Notify = false
	for name, tc := range map[string]struct {
		cfg   account.Config
		en    mfa.Enrollment
		from  []mfa.Origin // one conversation after another
		mails int
	}{
		"new":                      {strict(), reachable(), []mfa.Origin{at("198.51.100.9")}, 1},
		"twice":                    {strict(), reachable(), []mfa.Origin{at("198.51.100.9"), at("198.51.100.9")}, 1},
		"two":                      {strict(), reachable(), []mfa.Origin{at("198.51.100.9"), at("198.51.100.10")}, 2},
		"seen":                     {strict(), reachable(), []mfa.Origin{at("203.0.113.7")}, 0},
		"seen, IPv4 in IPv6":       {strict(), reachable(), []mfa.Origin{at("::ffff:203.0.113.7")}, 0},
		"seen network of IPv6":     {strict(), reachable(), []mfa.Origin{at("2001:db8:1:2::9")}, 0},
		"new network of IPv6":      {strict(), reachable(), []mfa.Origin{at("2001:db8:1:3::9"), at("2001:db8:1:3::a")}, 1},
		"local":                    {strict(), reachable(), []mfa.Origin{at("local"), at("127.0.0.1"), at("fe80::1"), at("host.example.com")}, 0},
		"this machine's own":       {strict(), reachable(), []mfa.Origin{{Address: "198.51.100.9", Here: true}}, 0},
		"not configured":           {muted, reachable(), []mfa.Origin{at("198.51.100.9")}, 0},
		"nowhere to be told":       {strict(), mfa.Enrollment{TOTP: &mfa.TOTPSecret{}}, []mfa.Origin{at("198.51.100.9")}, 0},
		"an address not confirmed": {strict(), mfa.Enrollment{Email: &mfa.Address{Address: "a@example.com"}}, []mfa.Origin{at("198.51.100.9")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, tc.cfg)
			w.has(tc.en, mfa.State{Seen: []string{"203.0.113.7", "2001:db8:1:2::/64"}})
			for _, from := range tc.from {
				w.from(from).TellOfFailures(t.Context())
			}
			mails := w.mail()
			if len(mails) != tc.mails {
				t.Fatalf("%d mails, not %d: %+v", len(mails), tc.mails, mails)
			}
			for _, m := range mails {
				if m.Subject != "Wrong code on host" || !strings.Contains(m.Text, "somebody knows your password") {
					t.Errorf("told %+v", m)
				}
			}
		})
	}
}

// A day later it is news again; and a guesser from many addresses has ten mails sent a day.
func TestTellOfFailuresIsBounded(t *testing.T) {
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{})
	told := func(n int) {
		for range 2 {
			for i := range n {
				w.from(at(fmt.Sprintf("198.51.100.%d", i))).TellOfFailures(t.Context())
			}
		}
	}
	told(12)
	if n := len(w.state().Told); n != 10 {
		t.Errorf("%d addresses told of in a day", n)
	}
	w.now = w.now.Add(24*time.Hour - 1)
	told(12)
	w.now = w.now.Add(1)
	told(3)
	if mails := w.mail(); len(mails) != 13 {
		t.Errorf("%d mails", len(mails))
	}
}

// A user who was told of a lock is not told of the conversation's wrong codes too; where it
// cannot be noted, nobody is told, or it would be at every login.
func TestTellOfFailuresNotTwice(t *testing.T) {
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{})
	u := w.from(at("198.51.100.9"))
	w.wrong(u, 3)
	u.TellOfFailures(t.Context())
	other := w.from(at("198.51.100.10"))
	w.store.Fail(errors.New("the disk is on fire"))
	other.TellOfFailures(t.Context())
	w.store.Fail(nil)
	if mails := w.mail(); len(mails) != 1 || mails[0].Subject != "Second factor locked on host" {
		t.Errorf("told %+v", mails)
	}
}

// Right codes are remembered by where they came from: the newest thirty-two, and nothing that
// is no place.
func TestSeen(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{})
	right := func(o mfa.Origin) {
		u := w.from(o)
		w.update(u, func(st *mfa.State) { u.CountRight(st, mfa.TOTP, false, w.now) })
	}
	for i := range 33 {
		right(at(fmt.Sprintf("198.51.100.%d", i)))
		right(at("198.51.100.0")) // used again and again
		right(at("127.0.0.1"))
	}
	st := w.state()
	for address, want := range map[string]bool{
		"198.51.100.0": true, "198.51.100.32": true, "198.51.100.2": true, "198.51.100.1": false, "127.0.0.1": false, "203.0.113.7": false,
	} {
		if got := w.from(at(address)).SeenHere(st); got != want {
			t.Errorf("%s seen: %v of %q", address, got, st.Seen)
		}
	}
	if len(st.Seen) != 32 {
		t.Errorf("%d addresses", len(st.Seen))
	}
	if w.from(mfa.Origin{Service: "sudo", Address: "198.51.100.0", UID: alice.UID}).SeenHere(st) {
		t.Error("a program that is not root says where it is")
	}
	if got := w.from(at("local")).Place(); got != account.Nowhere {
		t.Errorf("the place %q", got)
	}
}
