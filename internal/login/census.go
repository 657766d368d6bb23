package login

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/challenge"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// A Census counts what a policy means for the users of whom there is a record: for each
// a login by ssh and password, from an address in no network that a rule names.
type Census struct {
	Users   int  `json:"users"`
	Alone   int  `json:"alone"`             // get in by the first factor alone
	Without int  `json:"without"`           // have a second factor, but none that counts: they are asked for it, and led to another
	Out     int  `json:"out"`               // of those: kept out, as nobody is led to one at a login
	Unknown int  `json:"unknown,omitempty"` // their groups could not be looked up
	Partly  bool `json:"partly,omitempty"`  // time was up before all were counted
}

// Add counts one more user under cfg.
func (c *Census) Add(ctx context.Context, cfg Config, look Groups, user string, en mfa.Enrollment) {
	if ctx.Err() != nil {
		c.Partly = true
		return
	}
	asker := challenge.New(challenge.Config{}, challenge.Deps{}) // nobody is asked
	e := New(cfg, Deps{Asker: asker, Lookup: nss.Lookup, Groups: look, Now: func() time.Time { return time.Time{} }, Log: slog.New(slog.DiscardHandler)})
	id := mfa.Identity{Name: user, UID: en.UID}
	l := e.attempt(e.deps.Asker.Converse(account.Records{}.Account(id), mfa.Origin{Service: "sshd", Address: "unlisted"}, nil), []string{password})
	c.Users++
	if l.findPolicy(ctx) != nil {
		c.Unknown++
		return
	}
	if l.policy.Mode == ModeOff {
		c.Alone++
		return
	}
	p := l.lookAtMethods(en, mfa.State{})
	switch {
	case p.do == toLetIn:
		c.Alone++
	case len(p.methods) > 0 && len(l.counting(en)) == 0:
		c.Without++
		if p.do == toKeepOut {
			c.Out++
		}
	}
}

// String says it for people.
func (c Census) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "of %d users with a record %d get in by the first factor alone, and %d have a second factor but none that counts",
		c.Users, c.Alone, c.Without)
	switch {
	case c.Out > 0:
		fmt.Fprintf(&b, " (%d of them are kept out)", c.Out)
	case c.Without > 0:
		b.WriteString(" (they prove what they have and are led to another)")
	}
	if c.Unknown > 0 {
		fmt.Fprintf(&b, "; the groups of %d could not be looked up", c.Unknown)
	}
	if c.Partly {
		b.WriteString("; not all were counted")
	}
	return b.String()
}

// Newcomers says what becomes of whoever has no record, where no rule says otherwise.
func (p PolicyConfig) Newcomers() string {
	switch {
	case p.Mode == ModeOff, p.Mode == ModeOptional && (!p.OptOut || !p.EnrollAtLogin):
		return "let in by the first factor alone"
	case !p.EnrollAtLogin:
		return "kept out"
	}
	return "led to a second factor"
}
