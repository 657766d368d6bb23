package account

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mfa/internal/mfa"
)

// How long a State keeps what is over: as long as anything can depend on it, under any
// configuration.
const (
	keepCodes    = 24 * time.Hour      // the longest code.send_window
	keepFailures = 30 * 24 * time.Hour // the longest lockout.window
	keepContacts = 90 * 24 * time.Hour // the longest contacts.keep
	// sweepAtOnce states are written at once: the store takes them into one transaction.
	sweepAtOnce = 64
	// sweepPause between two of those leaves the disk to logins.
	sweepPause = 10 * time.Millisecond
)

// Sweep drops from every State what is over: sessions and codes that expired,
// failures and locks long past. A State with nothing left is deleted. It returns how many
// states it wrote. It writes at most sweepAtOnce of them each sweepPause, and ends with ctx.
func (a *Accounts) Sweep(ctx context.Context) (swept int, err error) {
	var due []string
	err = a.deps.Records.EachState(ctx, func(user string, st mfa.State, err error) error {
		switch {
		case err != nil:
			a.notSwept(user, err)
		case sweep(&st, a.deps.Now()):
			due = append(due, user)
		}
		if len(due) < sweepAtOnce {
			return nil
		}
		swept += a.sweepThese(ctx, due)
		due = due[:0]
		select {
		case <-ctx.Done():
		case <-time.After(sweepPause):
		}
		return nil
	})
	if ctx.Err() != nil {
		return swept, err
	}
	return swept + a.sweepThese(ctx, due), err
}

// sweepThese sweeps the states of users, and returns how many it could.
func (a *Accounts) sweepThese(ctx context.Context, users []string) int {
	var swept atomic.Int64
	var writing sync.WaitGroup
	for _, user := range users {
		writing.Go(func() {
			err := a.deps.Records.UpdateState(ctx, user, func(st *mfa.State) error {
				sweep(st, a.deps.Now())
				return nil
			})
			if err != nil {
				a.notSwept(user, err)
				return
			}
			swept.Add(1)
		})
	}
	writing.Wait()
	return int(swept.Load())
}

func (a *Accounts) notSwept(user string, err error) {
	a.deps.Log.Error("what is over was not swept", "user", user, "error", err)
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
	if st.Contacts != nil && now.After(st.Contacts.At.Add(keepContacts)) {
		st.Contacts = nil
	}
	if st.LockedUntil != nil && !now.Before(*st.LockedUntil) {
		st.LockedUntil, st.LockedBy, st.LockedFor = nil, "", 0
		dropRecovery(st, now)
	}
	st.LockMails = keepIf(st.LockMails, func(t time.Time) bool { return now.Before(t.Add(keepCodes)) })
	st.ShelfTries = keepIf(st.ShelfTries, func(t time.Time) bool { return now.Before(t.Add(shelfDay)) })
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

// When what is over is swept: not at a start, when everybody logs in again, and then once
// a day.
const (
	sweepFirst = 10 * time.Minute
	sweepEvery = 24 * time.Hour
)

// A Sweeper sweeps once a day, and forgets which names are aliases.
type Sweeper struct {
	Accounts func() *Accounts // of the configuration that counts now
	Aliases  *Aliases
	First    time.Duration // after the start; 0: ten minutes

	// Alone calls do, unless another host of the fleet does or did within rest; nil: there
	// is no other.
	Alone func(ctx context.Context, what string, rest time.Duration, do func(context.Context) error) (done bool, err error)
}

// In a fleet each host asks every hour whether it was swept, so that another does it
// where one was switched off.
const (
	sweepAsk  = time.Hour
	sweepRest = 20 * time.Hour
)

// Run sweeps until ctx ends.
func (s Sweeper) Run(ctx context.Context) {
	timer := time.NewTimer(cmp.Or(s.First, sweepFirst))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		accounts := s.Accounts()
		if err := s.once(ctx, accounts); err != nil && ctx.Err() == nil {
			accounts.deps.Log.Error("store not swept; it is tried again", "error", err)
		}
		if s.Aliases.Forget(); s.Alone != nil {
			timer.Reset(sweepAsk)
			continue
		}
		timer.Reset(sweepEvery)
	}
}

// once sweeps, if it is for this host to do.
func (s Sweeper) once(ctx context.Context, accounts *Accounts) error {
	do := func(ctx context.Context) error {
		swept, err := accounts.Sweep(ctx)
		accounts.deps.Log.Debug("swept", "records", swept)
		return err
	}
	if s.Alone == nil {
		return do(ctx)
	}
	_, err := s.Alone(ctx, "sweep", sweepRest, do)
	return err
}
