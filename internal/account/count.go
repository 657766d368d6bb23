package account

import (
	"context"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// A Wrong is the result of counting a wrong code.
type Wrong struct {
	Left     int    // how many more may follow until the lock; 0: locked now
	Disabled bool   // the method proves nothing from now on
	LockText string // for the person; empty without a lock

	lock text.Sentence // the same, in no language yet
}

// CountWrong counts a wrong code of the method in st at the time now, and locks the user
// or disables the method where it was the last one allowed. It is called within the
// Update that checks the code; AfterWrong follows once that is committed.
func (u *User) CountWrong(st *mfa.State, m mfa.Method, now time.Time) (w Wrong) {
	u.counting(st, func(counted *mfa.State) {
		w.Disabled = countMethod(counted, m)
		w.Left = u.in.cfg.Lockout.fail(counted, now)
	})
	w.lock, _ = u.lockHere(*st)
	w.LockText = w.lock.In(u.Words())
	return w
}

// countMethod counts a wrong code of a method and says whether it was the last that
// the method takes.
func countMethod(st *mfa.State, m mfa.Method) (disabled bool) {
	if st.MethodFailures == nil {
		st.MethodFailures = map[mfa.Method]int{}
	}
	st.MethodFailures[m]++
	return st.Disabled(m)
}

// CountRight clears in st the failures that count towards a lock and the wrong codes of
// the method; those of other methods stay. With setup, a code of what is being set up, it
// clears only the former. It is called within the Update that checks the code.
func (u *User) CountRight(st *mfa.State, m mfa.Method, setup bool, now time.Time) {
	u.counting(st, func(counted *mfa.State) {
		counted.Failures = nil
		if !setup {
			delete(counted.MethodFailures, m)
		}
	})
	if u.apart {
		return
	}
	dropRecovery(st, now)
	st.Seen = addSeen(st.Seen, u.Origin)
}

// AfterWrong audits a wrong code that CountWrong counted, and mails the user at a lock.
// Hint is added to the reason in the audit file. It adds to w.LockText where a recovery
// code was sent.
func (u *User) AfterWrong(ctx context.Context, m mfa.Method, w *Wrong, hint string) {
	ev := u.Event(audit.Failed)
	ev.Method = string(m)
	if u.apart {
		ev.Reason = reasonApart
	}
	if hint != "" {
		ev.Reason = strings.TrimPrefix(ev.Reason+"; "+hint, "; ")
	}
	u.in.deps.Audit.Record(ev)
	if w.Left == 0 {
		u.afterLock(ctx, ev, w)
	}
	if w.Disabled {
		ev.Event = audit.Disabled
		u.in.deps.Audit.Record(ev)
		u.in.deps.Log.Error("method disabled after too many wrong codes in a row; have the user set it up anew, or mfactl enroll or reset them",
			"user", u.Account.ID.Name, "method", m, "address", u.Origin.Address)
	}
}

// afterLock is AfterWrong for the code that locked.
func (u *User) afterLock(ctx context.Context, ev mfa.Event, w *Wrong) {
	ev.Event = audit.Locked
	u.in.deps.Audit.Record(ev)
	u.in.deps.Log.Warn("second factor locked after wrong codes; mfactl unlock ends it", "user", u.Account.ID.Name,
		"lock", w.lock.String(), "service", u.Origin.Service, "address", u.Origin.Address)
	if u.apart {
		u.tellLockedApart(ctx)
		return
	}
	u.in.conversations.end(u.Account.ID.Name, u, w.lock, "locked by wrong codes elsewhere")
	w.LockText = strings.TrimSuffix(w.LockText+"\n"+u.tellLocked(ctx), "\n")
}
