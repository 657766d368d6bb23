package main

import (
	"errors"
	"fmt"
)

// A candidate is one way to log in, of those that take turns.
type candidate struct {
	name   string
	shot   func(n int) (shot, error) // the next login of user n
	code   int                       // that PAM is to return
	synced bool                      // the client writes a block
	passes bool                      // users log in thrice a round, and the first time is another row
}

// passes is how often each user logs in a round.
const passes = 3

// Names of rows that others are compared with.
const (
	rowLimit  = "the limit: empty stack and one synced overwrite"
	rowGoogle = "pam_google_authenticator"
	rowWarm   = "pam_mfa, TOTP, warm records"
	rowCold   = "pam_mfa, TOTP, cold records"
	rowOurs   = "pam_mfa, TOTP"
	rowEmpty  = "empty stack (pam_permit)"
)

// fixed is a shot that is always the same.
func fixed(service string, user int, answer string) func(int) (shot, error) {
	return func(int) (shot, error) { return shot{service, userName(user), answer}, nil }
}

// A turn holds all that takes turns in the rows one after another.
type turn struct {
	b                 *bench
	ours, off         *site
	google            *google
	oathOne, oathMany *oath
	floor             *floor
	candidates        []candidate
}

func newTurn(b *bench) (*turn, error) {
	t := &turn{b: b}
	var err [6]error
	t.ours, err[0] = b.newSite("serial", b.logins, outbox())
	t.off, err[1] = b.newSite("off", b.logins, outbox(), "[policy]\nmode = \"off\"")
	t.google, err[2] = newGoogle(b.w, b.logins)
	t.oathOne, err[3] = newOath(b.w, "oath-each", b.logins, true)
	t.oathMany, err[4] = newOath(b.w, "oath-many", min(b.users, 2000), false)
	t.floor, err[5] = startFloor(b.w)
	if err := errors.Join(err[:]...); err != nil {
		return nil, err
	}
	if err := errors.Join(
		service("bench-empty", "pam_permit.so"), service("bench-two", "pam_permit.so", "pam_permit.so"),
		service("bench-off", t.off.stack("exempt=success")),
		service("bench-gone", t.b.w.module+" socket="+own+"/nobody")); err != nil {
		return nil, err
	}
	denied := t.ours.denied()
	t.candidates = []candidate{
		{name: rowEmpty, shot: fixed("bench-empty", 0, "")},
		{name: "empty stack of two modules", shot: fixed("bench-two", 0, "")},
		{name: rowLimit, shot: fixed("bench-empty", 0, ""), synced: true},
		{name: rowFloor, shot: fixed("bench-floor", 0, "123456")},
		{name: rowGoogle, shot: t.google.shot, passes: true},
		{name: rowOurs, shot: func(n int) (shot, error) { return t.ours.shot("bench-ours", n) }, passes: true},
		{name: "pam_oath, a file for each user", shot: t.oathOne.shot},
		{name: fmt.Sprintf("pam_oath, a file of %d users", t.oathMany.users), shot: t.oathMany.shot},
		{name: "pam_mfa, remembered login", shot: fixed("bench-remembered", 0, "")},
		{name: "pam_mfa, exempt by a rule", shot: fixed("bench-exempt", t.ours.exempt(), "")},
		{name: "pam_mfa, denied (locked)", shot: fixed("bench-ours", denied, "123456"), code: pamMaxTries},
		{name: "pam_mfa, mode off", shot: fixed("bench-off", 0, "")},
		{name: "pam_mfa, no daemon", shot: fixed("bench-gone", 0, ""), code: pamUnavailable},
	}
	return t, errors.Join(t.ours.enroll(), t.ours.fill(), t.off.start())
}

// fresh begins a round.
func (t *turn) fresh() error {
	return errors.Join(
		t.google.fresh(t.b.logins), t.oathOne.fresh(), t.oathMany.fresh(), t.ours.fresh(),
		t.ours.control("lock", userName(t.ours.denied())))
}

func (t *turn) close() error { return errors.Join(t.ours.stop(), t.off.stop(), t.floor.stop()) }

// serial measures one login after another, candidates in turns.
func serial(b *bench) (err error) {
	t, err := newTurn(b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	s := samples{}
	for round := range b.rounds {
		if err := t.fresh(); err != nil {
			return err
		}
		for pass := range passes {
			for n := range b.logins {
				if err := t.one(s, round, pass, n); err != nil {
					return err
				}
			}
		}
	}
	for _, c := range t.candidates {
		names := []string{c.name}
		if c.name == rowOurs {
			names = []string{rowWarm, rowCold}
		}
		for _, name := range names {
			r := s[name].row(name, "µs")
			r.Ratio, r.OfLimit = s[name].over(s[rowGoogle]), s[name].over(s[rowLimit])
			b.group.Rows = append(b.group.Rows, r)
		}
	}
	b.group.mustNotExceed("one after another, warm, against google-authenticator", "≤ 0.85 ×", s[rowWarm].over(s[rowGoogle]), 0.85)
	b.group.mustNotExceed("one after another, warm, against the limit", "≤ 2.4 ×", s[rowWarm].over(s[rowLimit]), 2.4)
	b.group.mustNotExceed("one after another, cold, against google-authenticator", "≤ 1.2 ×", s[rowCold].over(s[rowGoogle]), 1.2)
	b.group.note("The empty daemon is the least that a daemon in Go can do behind this module on this machine: a row below it cannot be had.")
	b.group.note("%d users log in three times a round, in turns with all other rows; cold is the first login after a start of mfad, warm the second and third. google-authenticator has DISALLOW_REUSE and RATE_LIMIT 3 30. Times are medians; the spread is that of the rounds' medians. mfad's own log goes to a file in memory, in the place of the journal.", b.logins)
	return nil
}

// one lets every candidate log in once, in another order each time.
func (t *turn) one(s samples, round, pass, n int) error {
	for i := range t.candidates {
		c := t.candidates[(i+n)%len(t.candidates)]
		got, err := t.b.attempt(c.shot, n, c.synced, c.code)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		name := c.name
		switch {
		case name == rowOurs && pass == 0:
			name = rowCold
		case name == rowOurs:
			name = rowWarm
		}
		s.add(name, round, micros(got.wall))
	}
	return nil
}
