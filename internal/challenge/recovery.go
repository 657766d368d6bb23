package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

const (
	recoveryLifetime = mfa.RecoveryLifetime
	maxRecoveryTries = 20 // wrong ones, in all conversations; then the code is void
	homeTries        = 5  // the last of those, which are for places where the user was seen
	maxLockMails     = 5  // a user and day; more for who uses the codes in them
)

// tellLocked mails the user that they were locked, with a code that ends the lock.
// The code is committed first and sent second, and only while the lock lasts. An
// older one ends, unless no mail may be sent any more today: then it stays good. It
// returns what to say of the code here, empty if none went out.
func (c *Conversation) tellLocked(ctx context.Context) (told string) {
	en, ok := c.mailbox(ctx)
	if !ok || !c.cfg.Lockout.Notify && !c.cfg.Lockout.Recovery {
		return ""
	}
	code, err := factor.NewRecoveryCode(rand.Reader)
	if err != nil {
		c.deps.Log.Error("user not told of the lock", "user", c.Account.ID.Name, "error", err)
		return ""
	}
	var may bool
	var lock mfa.State
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		now := c.deps.Now()
		_, _, locked := st.Locked(now)
		if may = locked && st.LockedBy == "" && mayMailLock(st, now); !may {
			return nil
		}
		st.LockMails = append(st.LockMails, now)
		if c.cfg.Lockout.Recovery {
			r := factor.NewRecovery(c.deps.Key, c.Account.ID, code, now, recoveryLifetime)
			st.Recovery = &r
		}
		lock = *st
		return nil
	})
	switch {
	case err != nil:
		c.deps.Log.Error("user not told of the lock", "user", c.Account.ID.Name, "error", err)
	case !may:
		c.deps.Log.Warn("no more mails about locks today; the last recovery code stays good", "user", c.Account.ID.Name, "most", maxLockMails)
	default:
		c.lockTold = true
		c.Notify(en, "Second factor locked", TextLocked(lock, c.deps.Now()), c.lockAdvice(code))
		if c.cfg.Lockout.Recovery {
			return textRecoverySent(deliver.Mask(en.Email.Address))
		}
	}
	return ""
}

// mayMailLock says whether one more mail about a lock may be sent today. It drops
// from st those of former days.
func mayMailLock(st *mfa.State, now time.Time) bool {
	st.LockMails = within(st.LockMails, now, mfa.Duration(24*time.Hour))
	return len(st.LockMails) < maxLockMails
}

// DropRecovery makes st forget a code that ended, or could have ended, a lock which
// is over. It is kept for the next lock if there could be no other today: else
// whoever locks a user again and again takes the way out from them.
func DropRecovery(st *mfa.State, now time.Time) {
	if st.Recovery != nil && (mayMailLock(st, now) || !now.Before(st.Recovery.Expires)) {
		st.Recovery = nil
	}
}

// lockAdvice is what the mail about a lock says below.
func (c *Conversation) lockAdvice(code string) string {
	const stranger = "If this was not you, somebody knows your password (or key): change it,\nand tell your administrator."
	if !c.cfg.Lockout.Recovery {
		return stranger
	}
	return fmt.Sprintf("Recovery code: %s\n\nIt ends the lock: log in again and type it where it is asked for. Your\n"+
		"second factor is asked for after it. It works once, for %s.\nGive it to nobody.\n\n%s", code, Span(recoveryLifetime), stranger)
}

// mailbox returns the enrollment of who can be told by mail.
func (c *Conversation) mailbox(ctx context.Context) (mfa.Enrollment, bool) {
	if c.Account.IsNobody() {
		return c.decoy, c.decoy.Email != nil
	}
	en, err := c.deps.Records.Enrollment(ctx, c.Account.ID.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		c.deps.Log.Error("user not told by mail", "user", c.Account.ID.Name, "error", err)
	}
	return en, err == nil && en.UID == c.Account.ID.UID && en.Email != nil && !en.Email.Confirmed.IsZero()
}

// Recover is for a user whom st locks. If a code that ends the lock was mailed it is
// asked for, and Accepted means that they are not locked any more; the second
// factor is still to be proven. Else it tells of the lock.
func (c *Conversation) Recover(ctx context.Context, st mfa.State) (mfa.Verdict, error) {
	locked := mfa.Verdict{Outcome: mfa.Exhausted, Reason: "locked"}
	told, _ := c.Locked(st)
	en, ok := c.mailbox(ctx)
	if !ok || !c.Recoverable(st) {
		c.Say(ctx, mfa.Failure, told)
		return locked, nil
	}
	text := told + "\n" + textRecoverySent(deliver.Mask(en.Email.Address))
	for tries, idle := 0, 0; tries < maxTries && idle < maxIdle; {
		answer, err := c.Line(ctx, c.codeKind(), text+"\n"+EndRecovery)
		switch {
		case errors.Is(err, mfa.ErrPasswordTyped):
			c.advise("the password was given in place of a recovery code; nothing was counted")
			idle, text = idle+1, textWasPassword
			continue
		case err != nil && ctx.Err() == nil:
			c.Say(ctx, mfa.Failure, told)
			return locked, err
		case err != nil:
			return c.NoAnswer(ctx, "", err)
		case answer == "":
			c.Say(ctx, mfa.Failure, TextStopped)
			return locked, nil
		case c.isName(answer):
			c.advise(adviceName)
			idle, text = idle+1, textWasName
			continue
		case !factor.IsRecoveryCode(answer):
			idle, text = idle+1, textNoRecovery
			continue
		}
		right, void, err := c.checkRecovery(ctx, answer)
		switch c.guessed = c.guessed || !right; {
		case err != nil:
			return c.Failed(ctx, err)
		case right:
			return mfa.Verdict{Outcome: mfa.Accepted, Reason: "unlocked by the user"}, nil
		case void:
			c.Say(ctx, mfa.Failure, "That code is not right. "+told)
			return locked, nil
		}
		tries, text = tries+1, "That code is not right. An empty line ends this login."
	}
	c.Say(ctx, mfa.Failure, TextStopped)
	return locked, nil
}

// Recoverable says whether st has a code that ends its lock.
func (c *Conversation) Recoverable(st mfa.State) bool {
	now := c.deps.Now()
	_, _, isLocked := st.Locked(now) // else only what is counted apart is
	return isLocked && c.cfg.Lockout.Recovery && st.LockedBy == "" &&
		st.Recovery != nil && now.Before(st.Recovery.Expires) && st.Recovery.Tries < c.recoveryTries(st)
}

// recoveryTries returns after how many wrong recovery codes none counts any more.
// Strangers, who are asked for it too, cannot use up those of the user.
func (c *Conversation) recoveryTries(st mfa.State) int {
	if c.seenHere(&st) || len(st.Seen) == 0 {
		return maxRecoveryTries
	}
	return maxRecoveryTries - homeTries
}

// checkRecovery counts an answer, looks at it and ends the lock, in one update that
// is durable when it returns. Right means that there is no lock any more, void that
// no code can end it.
func (c *Conversation) checkRecovery(ctx context.Context, answer string) (right, void bool, err error) {
	if c.withheld {
		return false, false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var counted, used bool
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		right, void, counted, used = false, false, false, false
		now := c.deps.Now()
		if _, _, locked := st.Locked(now); !locked {
			right = true // it ended meanwhile
			return nil
		}
		if !c.Recoverable(*st) {
			void = true
			return nil
		}
		right, counted = factor.RecoveryMatches(c.deps.Key, c.Account.ID, *st.Recovery, answer)
		switch {
		case right:
			used = true
			st.Unlock()
			// A user who types them back is mailed another: each lock has its way out.
			st.LockMails = st.LockMails[:max(0, len(st.LockMails)-1)]
			Revoke(st)
			st.NewEpoch(now)
			st.MustChangePassword = st.MustChangePassword || c.cfg.Lockout.ForcePasswordChange
		case counted && !c.unprivileged: // no guess finds it, and a process must not use up the tries of logins
			st.Recovery.Tries++
			void = st.Recovery.Tries >= c.recoveryTries(*st)
		}
		return nil
	})
	switch {
	case err != nil:
		return false, false, err
	case used:
		c.live.end(c.Account.ID.Name, c, ended(textRecovered, "unlocked by a recovery code elsewhere"))
		ev := c.Event(audit.Unlocked)
		ev.Actor, ev.Reason = c.Account.ID.Name, "recovery code"
		c.deps.Audit.Record(ev)
	case counted:
		c.deps.Audit.Record(c.Event(audit.RecoveryFailed))
	}
	return right, void, nil
}

// Revoke drops what earlier logins left for later ones: a password may have been in
// other hands.
func Revoke(st *mfa.State) {
	st.Enrolling = nil
	st.RevokeSessions()
}

// LongestCode is how long a code can be good that was sent, of either kind: so
// long the key is needed with which its hash was made.
func LongestCode(cfg CodeConfig) time.Duration { return max(cfg.lifetime(), recoveryLifetime) }
