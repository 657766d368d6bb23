package challenge

import (
	"context"
	"fmt"

	"mfa/internal/mfa"
)

// CountApart says that the peer which asks is not root: code that runs under some
// uid, without the first factor. Its wrong codes are counted apart. They shut this
// way of asking, with the same limits, and never the logins that root asks for; a
// right code forgives only them. What is locked for root's logins is locked here too.
// Its codes are counted by the uid that asks, and its text messages leave some for
// logins.
func (c *Conversation) CountApart() { c.unprivileged = true }

const reasonApart = "asked by a process that is not root; counted apart from logins"

// counting has do change the part of st in which the wrong codes of this
// conversation are counted.
func (c *Conversation) counting(st *mfa.State, do func(counted *mfa.State)) {
	if !c.unprivileged {
		do(st)
		return
	}
	var t mfa.Tally
	if st.Apart != nil {
		t = *st.Apart
	}
	counted := mfa.State{Failures: t.Failures, LockedUntil: t.LockedUntil, LockedHard: t.LockedHard, MethodFailures: t.MethodFailures}
	do(&counted)
	st.Apart = nil
	if len(counted.Failures) > 0 || counted.LockedUntil != nil || counted.LockedHard || len(counted.MethodFailures) > 0 {
		st.Apart = &mfa.Tally{
			Failures: counted.Failures, LockedUntil: counted.LockedUntil, LockedHard: counted.LockedHard, MethodFailures: counted.MethodFailures,
		}
	}
}

// Locked says whether no answer counts in this conversation, and what is said of it.
func (c *Conversation) Locked(st mfa.State) (told string, locked bool) {
	now := c.deps.Now()
	if _, _, locked := st.Locked(now); locked {
		return TextLocked(st, now), true
	}
	if !c.unprivileged || st.Apart == nil {
		return "", false
	}
	left, hard, locked := st.Apart.Locked(now)
	switch {
	case hard:
		return textApart("until an administrator unlocks it"), true
	case locked:
		return textApart("for " + Span(left)), true
	}
	return "", false
}

func textApart(length string) string {
	return fmt.Sprintf("Your second factor is locked here %s, after too many wrong codes. Logins by ssh or at the console are not.", length)
}

// disabled says whether the method proves nothing in this conversation.
func (c *Conversation) disabled(st mfa.State, m mfa.Method) bool {
	return st.Disabled(m) || c.unprivileged && st.Apart != nil && st.Apart.MethodFailures[m] >= mfa.MaxMethodFailures
}

// tellLockedApart mails the user, once a day, that wrong codes shut what is counted
// apart. No code is needed to end it.
func (c *Conversation) tellLockedApart(ctx context.Context) {
	en, ok := c.mailbox(ctx)
	if !ok || !c.cfg.Lockout.Notify {
		return
	}
	var isNew bool
	err := c.Account.Update(ctx, func(st *mfa.State) error {
		isNew = noteStranger(st, reasonApart, c.deps.Now())
		return nil
	})
	if err != nil {
		c.deps.Log.Error("user not told of the lock", "user", c.Account.ID.Name, "error", err)
		return
	}
	if isNew {
		c.Notify(en, "Wrong codes on "+c.cfg.Host,
			"A program that runs on this machine typed too many wrong codes in your name. What it asked for is locked for a time; your logins are not.",
			"If that was not you, at a screen lock or with mfactl, somebody runs programs\nunder your account: tell your administrator.")
	}
}
