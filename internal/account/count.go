package account

import (
	"context"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// A Wrong is what a wrong code came to.
type Wrong struct {
	Left     int    // how many more may follow until the lock; 0: locked now
	Disabled bool   // the method proves nothing from now on
	LockText string // what is said of the lock
}

// CountWrong counts a wrong code of the method in st at the time now, locks, and
// disables.
func (u *User) CountWrong(st *mfa.State, m mfa.Method, now time.Time) (w Wrong) {
	u.counting(st, func(counted *mfa.State) {
		w.Disabled = countMethod(counted, m)
		w.Left = u.in.cfg.Lockout.fail(counted, now)
	})
	w.LockText, _ = u.Locked(*st)
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

// CountRight forgets in st what a right code of the method makes good, and no more: the
// wrong codes of another method stay counted. A right code of what is being set up
// proves nothing of a method that is.
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
	st.Seen = see(st.Seen, u.Origin)
}

// AfterWrong writes down and tells of a wrong code that was counted. Hint is what else
// is known of it, for the audit file. To the text of a lock it adds what ends it.
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
		"lock", w.LockText, "service", u.Origin.Service, "address", u.Origin.Address)
	if u.apart {
		u.tellLockedApart(ctx)
		return
	}
	u.in.live.end(u.Account.ID.Name, u, ended(w.LockText, "locked by wrong codes elsewhere"))
	w.LockText = strings.TrimSuffix(w.LockText+"\n"+u.tellLocked(ctx), "\n")
}
