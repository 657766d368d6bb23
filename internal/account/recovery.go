package account

import (
	"context"
	"crypto/rand"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

const (
	recoveryLifetime = mfa.RecoveryLifetime
	maxRecoveryTries = 20 // wrong ones, in all conversations; then the code is void
	homeTries        = 5  // the last of those, which are for places where the user was seen
	maxLockMails     = 5  // for a user in a day; a recovery code that is used gives one back
)

// tellLocked mails the user that they were locked, with a code that ends the lock.
// The code is committed first and sent second, and only while the lock lasts. It
// replaces an older one, which stays good if no more mail may be sent today. It
// returns the text that says where the code went, empty if none was sent.
func (u *User) tellLocked(ctx context.Context) (told string) {
	en, ok := u.confirmedMail(ctx)
	if !ok || !u.in.cfg.Lockout.Notify && !u.in.cfg.Lockout.Recovery {
		return ""
	}
	code, err := factor.NewRecoveryCode(rand.Reader)
	if err != nil {
		u.in.deps.Log.Error("user not told of the lock", "user", u.Account.ID.Name, "error", err)
		return ""
	}
	var may, recoverable bool
	var lock mfa.State
	err = u.Account.Update(ctx, func(st *mfa.State) error {
		now := u.in.deps.Now()
		_, _, locked := st.Locked(now)
		if may = locked && st.LockedBy == "" && mayMailLock(st, now); !may {
			return nil
		}
		st.LockMails = append(st.LockMails, now)
		recoverable = u.in.cfg.Lockout.Recovery && st.Offline == nil // other hosts would not know the code
		if recoverable {
			r := factor.NewRecovery(u.in.deps.Key, u.Account.ID, code, now, recoveryLifetime)
			st.Recovery = &r
		}
		lock = *st
		return nil
	})
	switch {
	case err != nil:
		u.in.deps.Log.Error("user not told of the lock", "user", u.Account.ID.Name, "error", err)
	case !may:
		u.in.deps.Log.Warn("no more mails about locks today; the last recovery code stays good", "user", u.Account.ID.Name, "most", maxLockMails)
	default:
		u.lockTold = true
		n := Notice{Subject: text.Of("Second factor locked"), What: textLocked(lock, u.in.deps.Now()), Advice: lockAdvice(code, recoverable)}
		if recoverable {
			n.Code = code
		}
		u.Notify(en, n)
		if recoverable {
			return u.TextRecoverySent(deliver.Mask(en.Email.Address))
		}
	}
	return ""
}

// mayMailLock reports whether one more mail about a lock may be sent. It drops from st
// those older than 24 hours.
func mayMailLock(st *mfa.State, now time.Time) bool {
	st.LockMails = mfa.Recent(st.LockMails, now, mfa.Duration(24*time.Hour))
	return len(st.LockMails) < maxLockMails
}

// dropRecovery drops the recovery code of a lock that is over. It keeps the code for the
// next lock if no other could be mailed today: otherwise an attacker who locks a user
// again and again would leave them without one.
func dropRecovery(st *mfa.State, now time.Time) {
	if st.Recovery != nil && (mayMailLock(st, now) || !now.Before(st.Recovery.Expires)) {
		st.Recovery = nil
	}
}

// lockAdvice returns the advice in the mail about a lock. Recoverable says that the code ends it.
func lockAdvice(code string, recoverable bool) text.Sentence {
	if !recoverable {
		return text.Of(adviceNotYou)
	}
	return text.Of("%s\n\n%s", text.Of(adviceRecovery, code, text.SpanOf(recoveryLifetime)), text.Of(adviceNotYou))
}

const (
	adviceNotYou   = "If this was not you, somebody knows your password (or key): change it,\nand tell your administrator."
	adviceRecovery = "Recovery code: %s\n\nIt ends the lock: log in again and type it where it is asked for. Your\n" +
		"second factor is asked for after it. It works once, for %s.\nGive it to nobody."
)

// Recoverable reports whether st has a recovery code that ends its lock now.
func (u *User) Recoverable(st mfa.State) bool {
	now := u.in.deps.Now()
	_, _, isLocked := st.Locked(now) // else only what is counted apart is
	return isLocked && u.in.cfg.Lockout.Recovery && st.LockedBy == "" &&
		st.Recovery != nil && now.Before(st.Recovery.Expires) && st.Recovery.Tries < u.recoveryTries(st)
}

// recoveryTries returns after how many wrong recovery codes the code is void. The last
// homeTries are only for places where the user was seen, so that an attacker elsewhere
// cannot use up all of them.
func (u *User) recoveryTries(st mfa.State) int {
	if u.SeenHere(st) || len(st.Seen) == 0 {
		return maxRecoveryTries
	}
	return maxRecoveryTries - homeTries
}

// TryRecovery checks an answer, counts it, and ends the lock if it is right, in one update
// that is durable when it returns. Right means that there is no lock any more, void that
// no code can end it.
func (u *User) TryRecovery(ctx context.Context, answer string) (right, void bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var counted, used bool
	err = u.Account.Update(ctx, func(st *mfa.State) error {
		right, void, counted, used = false, false, false, false
		now := u.in.deps.Now()
		if _, _, locked := st.Locked(now); !locked {
			right = true // it ended meanwhile
			return nil
		}
		if !u.Recoverable(*st) {
			void = true
			return nil
		}
		right, counted = factor.RecoveryMatches(u.in.deps.Key, u.Account.ID, *st.Recovery, answer)
		switch {
		case right:
			used = true
			st.Unlock()
			// A user who types them back is mailed another: each lock has its way out.
			st.LockMails = st.LockMails[:max(0, len(st.LockMails)-1)]
			revoke(st)
			st.NewEpoch(now)
			st.MustChangePassword = st.MustChangePassword || u.in.cfg.Lockout.ForcePasswordChange
		case counted && !u.apart: // no guess finds it, and a process must not use up the tries of logins
			st.Recovery.Tries++
			void = st.Recovery.Tries >= u.recoveryTries(*st)
		}
		return nil
	})
	switch {
	case err != nil:
		return false, false, err
	case used:
		u.in.conversations.end(u.Account.ID.Name, u, text.Of(textRecovered), "unlocked by a recovery code elsewhere")
		ev := u.Event(audit.Unlocked)
		ev.Actor, ev.Reason = u.Account.ID.Name, "recovery code"
		u.in.deps.Audit.Record(ev)
	case counted:
		u.in.deps.Audit.Record(u.Event(audit.RecoveryFailed))
	}
	return right, void, nil
}

// ForgetEarlier drops what earlier logins left for later ones: the setup that was begun,
// and the remembered logins.
func (u *User) ForgetEarlier(ctx context.Context) error {
	return u.Account.Update(context.WithoutCancel(ctx), func(st *mfa.State) error {
		revoke(st)
		return Online(*st)
	})
}

// revoke is ForgetEarlier in st: another person may have had the password.
func revoke(st *mfa.State) {
	st.Enrolling = nil
	st.RevokeSessions()
}

// longestCode returns how long a sent or recovery code can be good. The key that made its
// hash is needed as long.
func (c Config) longestCode() time.Duration { return max(time.Duration(c.Lifetime), recoveryLifetime) }

// Mailbox reports whether the user has a confirmed address, and returns it masked.
func (u *User) Mailbox(ctx context.Context) (masked string, ok bool) {
	en, ok := u.confirmedMail(ctx)
	if !ok {
		return "", false
	}
	return deliver.Mask(en.Email.Address), true
}

// TextRecoverySent returns the text that says where a recovery code was sent.
func (u *User) TextRecoverySent(masked string) string {
	return u.Words().Say(textRecoverySent, masked)
}
