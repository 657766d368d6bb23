package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// How a visit ended for its client.
const (
	done      = "done"      // it heard the verdict
	left      = "left"      // it went away
	lost      = "lost"      // the daemon did
	unreached = "unreached" // nobody was there
)

// A visit is one login as its client saw it: a line of logins.jsonl.
type visit struct {
	N       int64
	Story   string
	User    string
	Service string
	Began   time.Time
	Took    time.Duration
	First   time.Duration `json:",omitempty"` // from HELLO to the first prompt, or to the verdict
	Last    time.Duration `json:",omitempty"` // from the last answer to the verdict
	Quick   bool          `json:",omitempty"` // nothing was sent, so First and Last are the daemon's alone
	End     string
	Outcome string `json:",omitempty"`
	Wrong   int    `json:",omitempty"` // times that a code was said to be wrong
	Strange string `json:",omitempty"` // what was not as it must be
	Said    string `json:",omitempty"` // the last words, if it was strange

	held  string // what the module holds, in one line
	word  bool   // who goes away has the module say so
	heard string // the last words
}

// terminal begins the name of a visit's terminal, which ends with its number.
const terminal = "soak-"

// letIn says whether the visit opened the door.
func (v *visit) letIn() bool {
	return v.Outcome == mfa.Accepted.String() || v.Outcome == mfa.Exempt.String()
}

// A desk is where visits begin.
type desk struct {
	next     atomic.Int64
	underway atomic.Int64
}

// hold goes through a login of a user.
func (d *desk) hold(v *visit, u *user, p *wiretest.Person) {
	v.N, v.Began = d.next.Add(1), time.Now()
	d.underway.Add(1)
	defer func() {
		d.underway.Add(-1)
		v.Took = time.Since(v.Began)
	}()
	c, err := net.DialTimeout("unix", own+"/pam.sock", patience)
	if err != nil {
		v.End = unreached
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * patience)) // longer than mfad gives
	sent := time.Now()
	hears := func(text string) {
		v.spoke(sent)
		v.hears(text)
	}
	hello := wiretest.Hello(mfa.Request{Service: v.Service, User: v.User, RHost: u.place, TTY: fmt.Sprint(terminal, v.N), Held: v.held})
	outcome, err := wiretest.Talk(c, hello, hears, func(prompt string) *wire.Frame {
		line, stays := p.Answer(prompt)
		sent = time.Now()
		switch {
		case stays:
			return wiretest.Line(line)
		case v.word:
			return &wire.Frame{Type: wire.NoAnswer, Payload: []byte{wire.ConvFailed}}
		}
		return nil
	})
	switch {
	case errors.Is(err, wiretest.ErrLeft):
		v.End = left
	case errors.Is(err, wire.ErrFrame):
		v.End, v.Strange = lost, err.Error()
	case err != nil:
		v.End = lost
	default:
		v.spoke(sent)
		v.End, v.Outcome, v.Last = done, outcome.String(), time.Since(sent)
	}
}

// spoke notes when the daemon said its first word.
func (v *visit) spoke(sent time.Time) {
	if v.First == 0 {
		v.First = time.Since(sent)
	}
}

// hears notes what a prompt tells.
func (v *visit) hears(text string) {
	v.heard = text
	if strings.Contains(strings.ReplaceAll(text, "\n", " "), "code is not right") { // lines are folded
		v.Wrong++
	}
}

// split asks what may stand behind a password, as the module does before a login in one
// line.
func (d *desk) split(u *user) {
	c, err := net.DialTimeout("unix", own+"/pam.sock", patience)
	if err != nil {
		return // the login will tell
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	hello := wiretest.Hello(mfa.Request{Service: lineService, User: u.name, RHost: u.place})
	hello.Type = wire.Split
	if wire.Write(c, hello) == nil {
		_, _ = wire.Read(c)
	}
}
