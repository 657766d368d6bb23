package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"mfa/e2e/history"
)

// A place is where logins come from.
type place struct{ service, address string }

// String is its name in a history.
func (p place) String() string { return strings.TrimSpace(p.service + " " + p.address) }

// console is a place from where no login is ever remembered. Only there backup codes are
// typed, also if they are asked for elsewhere, as after 100 wrong codes of the app: there it
// is not told apart who is let in by them, and who is remembered.
var console = place{service: "login"}

var places = []place{console, {"sshd", "203.0.113.7"}, {"sshd", "198.51.100.9"}}

// A client is one person at one machine, or an administrator. They do one thing at a time.
type client struct {
	run    *running
	number int
	rand   *rand.Rand
}

// rest waits a while, and reports whether to go on.
func (c *client) rest(ctx context.Context) bool {
	wait := time.NewTimer(time.Duration(c.rand.Int64N(int64(2*c.run.pace) + 1)))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// does does one thing while mfad is there, and tells the disturber.
func (c *client) does(ctx context.Context, what func() error) {
	c.run.gate.RLock()
	c.run.fail(what())
	c.run.gate.RUnlock()
	select {
	case c.run.did <- struct{}{}:
	case <-ctx.Done():
	}
}

// logsIn has a user log in again and again until ctx ends.
func (c *client) logsIn(ctx context.Context, o *owner) {
	for c.rest(ctx) {
		c.does(ctx, func() error { return c.login(o) })
	}
}

// begin notes that something is tried.
func (c *client) begin(o *owner, a history.Action) *history.Running {
	return c.run.rec.Begin(c.number, o.name, a)
}

// lost notes that an operation got no answer. It may happen until mfad has ended.
func (c *client) lost(op *history.Running, why error) error {
	defer op.End(history.Unknown)
	return c.outlives(why)
}

// ends notes how an operation ended. Where the store did not answer mfad in time it may still
// happen.
func (t *talk) ends(op *history.Running, outcome history.Outcome) {
	if t.said.is(saysStuck) {
		op.Lost()
		return
	}
	op.End(outcome)
}

// outlives waits until mfad has ended, which must be soon: it said nothing more.
func (c *client) outlives(why error) error {
	if !within(c.run.daemon.gone) {
		return fmt.Errorf("mfad lives, and does not answer: %w", why)
	}
	return nil
}

// login is one login.
func (c *client) login(o *owner) error {
	from := places[c.rand.IntN(len(places))]
	op := c.begin(o, history.Action{Kind: history.Begin, From: from.String()})
	t, err := dial(c.run.daemon.path("run/pam.sock"), o.name, from)
	if err != nil {
		return c.lost(op, err)
	}
	defer t.conn.Close()
	op.End(t.said.begun())
	for n := 0; n < 8 && t.said.asks && c.rand.IntN(12) > 0; n++ { // now and then they go away
		if err := c.responds(o, t, from); err != nil {
			return err
		}
	}
	return nil
}

// responds answers the prompt.
func (c *client) responds(o *owner, t *talk, from place) error {
	h := t.said
	if h.is(saysAgain) {
		t.app = nil
	}
	switch {
	case h.ends(asksRemember):
		return c.remembers(o, t, from)
	case h.ends(asksChoice):
		return c.plain(t, c.choice(h.text))
	case h.ends(asksBackup) && from == console && c.rand.IntN(8) > 0:
		return c.types(o, t, from, o.onPaper(c.rand))
	case h.ends(asksKept):
		return c.plain(t, "")
	case h.is(showsKey), t.app != nil:
		return c.enrolls(o, t, from)
	case from == console && c.rand.IntN(2) == 0:
		return c.plain(t, "m")
	case h.ends(asksBackup), c.rand.IntN(4) == 0:
		return c.types(o, t, from, o.wrong(c.rand))
	}
	return c.types(o, t, from, o.byApp(c.rand))
}

// choice returns the number of a menu's entry for backup codes or the app.
func (c *client) choice(menu string) string {
	want := "Backup code"
	if c.rand.IntN(4) == 0 {
		want = "Code from your"
	}
	before, _, _ := strings.Cut(menu, " "+want)
	return before[strings.LastIndex(before, " ")+1:]
}

// plain answers with what is no code.
func (c *client) plain(t *talk, line string) error {
	if err := t.answer(line); err != nil {
		return c.outlives(err)
	}
	return nil
}

// types answers with a code.
func (c *client) types(o *owner, t *talk, from place, code typed) error {
	op := c.begin(o, code.Action)
	if err := t.answer(code.code); err != nil {
		return c.lost(op, err)
	}
	outcome := t.said.judged()
	switch {
	case t.said.byMemory(from):
		op.Was(history.Action{Kind: history.Begin, From: from.String()})
	case code.app == nil:
	case outcome == history.Accepted:
		o.accepted(code.app, code.N)
	case code.late() && outcome != history.Used:
		op.Was(history.Action{Kind: history.Guess})
	}
	t.ends(op, outcome)
	return nil
}

// enrolls answers with the first code of the app that is shown.
func (c *client) enrolls(o *owner, t *talk, from place) error {
	if t.said.is(showsKey) {
		secret, err := secretIn(t.said.text)
		if err != nil {
			return err
		}
		t.app = o.sees(secret, o.next("app"))
	}
	code := t.app.shows(now() - reach + c.rand.Int64N(4))
	set := o.next("paper")
	op := c.begin(o, history.Action{Kind: history.Enroll, Of: t.app.name, N: code.N, Set: set})
	if err := t.answer(code.code); err != nil {
		return c.lost(op, err)
	}
	outcome := t.said.judged()
	switch {
	case t.said.byMemory(from):
		op.Was(history.Action{Kind: history.Begin, From: from.String()})
	case outcome == history.Accepted:
		o.accepted(t.app, code.N)
		o.keeps(set, backupCode.FindAllString(t.said.text, -1))
		t.app = nil
	case code.late():
		outcome = history.Refused
	}
	t.ends(op, outcome)
	return nil
}

// remembers answers whether the login is to be remembered.
func (c *client) remembers(o *owner, t *talk, from place) error {
	if c.rand.IntN(3) == 0 {
		return c.plain(t, "n")
	}
	op := c.begin(o, history.Action{Kind: history.Remember, From: from.String()})
	if err := t.answer("y"); err != nil {
		return c.lost(op, err)
	}
	t.ends(op, t.said.remembered())
	return nil
}
