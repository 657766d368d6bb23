package login

import (
	"context"
	"reflect"
	"slices"
	"time"

	"mfa/internal/challenge"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Sessions returns what is remembered of one user, oldest first.
func (e *Engine) Sessions(ctx context.Context, id mfa.Identity) ([]wire.Session, error) {
	st, err := e.deps.Records.Account(id).State(ctx)
	if err != nil {
		return nil, err
	}
	return e.views(ctx, id, st), nil
}

// AllSessions returns what is remembered of all users, by name, and the users
// whose record cannot be read, which the log explains. Its error is that of a
// store out of reach.
func (e *Engine) AllSessions(ctx context.Context) (all []wire.Session, unreadable []string, err error) {
	err = e.eachState(ctx, func(user string, st mfa.State, err error) {
		if err != nil {
			e.deps.Log.Error("remembered sessions not shown", "user", user, "error", err)
			unreadable = append(unreadable, user)
			return
		}
		all = append(all, e.views(ctx, mfa.Identity{Name: user, UID: st.UID}, st)...)
	})
	return all, unreadable, err
}

func (e *Engine) views(ctx context.Context, id mfa.Identity, st mfa.State) []wire.Session {
	if len(st.Sessions) == 0 {
		return nil
	}
	l := &attempt{Engine: e, Conversation: e.Converse(id, mfa.Origin{}, nil)}
	en, err := l.enrollment(ctx)
	if err != nil {
		e.deps.Log.Error("enrollment not readable", "user", id.Name, "error", err)
	}
	fingerprint, now := en.Fingerprint(), e.deps.Now()
	var all []wire.Session
	for _, s := range st.Sessions {
		v := wire.Session{
			User: id.Name, UID: id.UID, ID: s.ID, Service: s.Service, Address: s.Address, Key: s.Key, Method: s.Method,
			Created: s.Created, Expires: e.cfg.Session.expiry(s), LastUsed: s.LastUsed,
		}
		switch v.Ended = e.cfg.Session.ended(s, fingerprint, now); {
		case err != nil:
			v.Ended = "the enrollment cannot be read"
		case en.Generation < e.cfg.Generation:
			v.Ended = "the user must enroll anew"
		}
		all = append(all, v)
	}
	return all
}

// eachState calls fn for every user of whom something is remembered, by name,
// with the error of a record that cannot be read.
func (e *Engine) eachState(ctx context.Context, fn func(user string, st mfa.State, err error)) error {
	users, err := e.deps.Records.StateUsers(ctx)
	for _, user := range users {
		if err := ctx.Err(); err != nil {
			return err
		}
		st, err := e.deps.Records.State(ctx, user)
		fn(user, st, err)
	}
	return err
}

// How long what is over is kept in a State: as long as anything can depend on
// it, whatever is configured.
const (
	keepCodes    = 24 * time.Hour      // the longest code.send_window
	keepFailures = 30 * 24 * time.Hour // the longest lockout.window
	// sweepPause between two writes leaves the disk to logins.
	sweepPause = 10 * time.Millisecond
)

// Sweep drops from every State what is over: sessions and codes that expired,
// failures and locks long past. A State with nothing left goes. It writes at most
// a hundred times a second, and ends with ctx.
func (e *Engine) Sweep(ctx context.Context) (swept int, err error) {
	err = e.eachState(ctx, func(user string, st mfa.State, err error) {
		if err == nil && !sweep(&st, e.deps.Now()) {
			return
		}
		if err == nil {
			err = e.deps.Records.UpdateState(ctx, user, func(st *mfa.State) error {
				sweep(st, e.deps.Now())
				return nil
			})
		}
		if err != nil {
			e.deps.Log.Error("what is over was not swept", "user", user, "error", err)
			return
		}
		swept++
		select {
		case <-ctx.Done():
		case <-time.After(sweepPause):
		}
	})
	return swept, err
}

// sweep says whether there was anything to drop.
func sweep(st *mfa.State, now time.Time) bool {
	before := *st
	st.Sessions = keepIf(st.Sessions, func(s mfa.Session) bool { return now.Before(s.Expires) })
	st.Pending = keepIf(st.Pending, func(p mfa.PendingCode) bool { return now.Before(p.Expires.Add(keepCodes)) })
	st.Sends = keepIf(st.Sends, func(t time.Time) bool { return now.Before(t.Add(keepCodes)) })
	st.PlaceSends = keepIf(st.PlaceSends, func(s mfa.PlaceSend) bool { return now.Before(s.At.Add(keepCodes)) })
	st.Failures = keepIf(st.Failures, func(t time.Time) bool { return now.Before(t.Add(keepFailures)) })
	if st.Enrolling != nil && now.After(st.Enrolling.Began.Add(keepCodes)) {
		st.Enrolling = nil
	}
	if st.LockedUntil != nil && !now.Before(*st.LockedUntil) {
		st.LockedUntil, st.LockedBy, st.LockedFor = nil, "", 0
		challenge.DropRecovery(st, now)
	}
	st.LockMails = keepIf(st.LockMails, func(t time.Time) bool { return now.Before(t.Add(keepCodes)) })
	st.Told = keepIf(st.Told, func(n mfa.AddressNoticed) bool { return now.Before(n.At.Add(keepCodes)) })
	if old := now.Sub(time.Unix(0, st.Epoch)).Abs() > keepCodes; old && reflect.DeepEqual(*st, mfa.State{UID: st.UID, Epoch: st.Epoch}) {
		st.Epoch = 0 // no conversation lasts so long
	}
	if reflect.DeepEqual(*st, mfa.State{UID: st.UID}) {
		*st = mfa.State{}
	}
	return !reflect.DeepEqual(*st, before)
}

// keepIf returns a new slice, nil if nothing is kept.
func keepIf[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, v := range all {
		if keep(v) {
			kept = append(kept, v)
		}
	}
	return slices.Clip(kept)
}
