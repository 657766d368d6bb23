package account

import (
	"context"
	"slices"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// CountApart says that the peer which asks is not root: a program under some uid, which
// needed no first factor. Its wrong codes are counted apart, with the same limits. They
// lock only such conversations, never the logins that root asks for; a right code clears
// only them. A lock of root's logins counts here too. Codes sent are counted by the uid
// that asks, and text messages leave some for logins.
func (u *User) CountApart() { u.apart = true }

const reasonApart = "asked by a process that is not root; counted apart from logins"

// counting calls do with the part of st that counts the wrong codes of this
// conversation: all of it, or Apart.
func (u *User) counting(st *mfa.State, do func(counted *mfa.State)) {
	if !u.apart {
		do(st)
		return
	}
	var t mfa.FailureCounts
	if st.Apart != nil {
		t = *st.Apart
	}
	counted := mfa.State{Failures: t.Failures, LockedUntil: t.LockedUntil, LockedHard: t.LockedHard, MethodFailures: t.MethodFailures}
	do(&counted)
	st.Apart = nil
	if len(counted.Failures) > 0 || counted.LockedUntil != nil || counted.LockedHard || len(counted.MethodFailures) > 0 {
		st.Apart = &mfa.FailureCounts{
			Failures: counted.Failures, LockedUntil: counted.LockedUntil, LockedHard: counted.LockedHard, MethodFailures: counted.MethodFailures,
		}
	}
}

// Locked reports whether a lock of st holds in this conversation, and returns the text
// for the person.
func (u *User) Locked(st mfa.State) (told string, locked bool) {
	lock, locked := u.lockHere(st)
	return lock.In(u.Words()), locked
}

// lockHere is Locked with the text in no language yet.
func (u *User) lockHere(st mfa.State) (told text.Sentence, locked bool) {
	now := u.in.deps.Now()
	if _, _, locked := st.Locked(now); locked {
		return textLocked(st, now), true
	}
	if !u.apart || st.Apart == nil {
		return text.Sentence{}, false
	}
	left, hard, locked := st.Apart.Locked(now)
	switch {
	case hard:
		return text.Of(textApartHard), true
	case locked:
		return text.Of(textApart, text.SpanOf(left)), true
	}
	return text.Sentence{}, false
}

// Disabled reports whether the method took too many wrong codes to prove anything in this
// conversation; see mfa.State.Disabled.
func (u *User) Disabled(st mfa.State, m mfa.Method) bool {
	return st.Disabled(m) || u.apart && st.Apart != nil && st.Apart.MethodFailures[m] >= mfa.MaxMethodFailures
}

// tellLockedApart mails the user, at most once a day, that wrong codes counted apart
// locked. It sends no recovery code.
func (u *User) tellLockedApart(ctx context.Context) {
	en, ok := u.confirmedMail(ctx)
	if !ok || !u.in.cfg.Lockout.Notify {
		return
	}
	var isNew bool
	err := u.Account.Update(ctx, func(st *mfa.State) error {
		isNew = noteTold(st, reasonApart, u.in.deps.Now())
		return nil
	})
	if err != nil {
		u.in.deps.Log.Error("user not told of the lock", "user", u.Account.ID.Name, "error", err)
		return
	}
	if isNew {
		u.Notify(en, Notice{
			Subject: text.Of("Wrong codes"),
			What:    text.Of("A program on this machine typed too many wrong codes in your name, and is locked out for now."),
			Advice:  text.Of(adviceApart),
		})
	}
}

const adviceApart = "Your logins are not locked.\n\n" +
	"If that was not you, at a screen lock or with mfactl, somebody runs programs\nunder your account: tell your administrator."

// Enabled returns the methods that are not Disabled, in their order, in a new slice.
func (u *User) Enabled(st mfa.State, methods []mfa.Method) []mfa.Method {
	return slices.DeleteFunc(slices.Clone(methods), func(m mfa.Method) bool { return u.Disabled(st, m) })
}
