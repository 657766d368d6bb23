package account_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// A narrow store refuses what wrong codes write, and takes what right ones do: a full disk may,
// or a network where more has to be asked for a lock.
type narrow struct {
	storetest.Memory
	mu      sync.Mutex
	refuses error // nil: it takes all
	lands   bool  // what it refuses is there all the same
	all     bool  // it refuses every write
}

func (n *narrow) set(refuses error, lands bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuses, n.lands = refuses, lands
}

func (n *narrow) Put(ctx context.Context, it store.Item) (store.Item, error) {
	n.mu.Lock()
	refuses, lands, all := n.refuses, n.lands, n.all
	n.mu.Unlock()
	if refuses == nil || !all && !strings.Contains(string(it.Value), "method_failures") {
		return n.Memory.Put(ctx, it)
	}
	if lands {
		if _, err := n.Memory.Put(ctx, it); err != nil {
			return it, err
		}
	}
	return store.Item{}, refuses
}

// mostWrong is how many wrong codes lock.
const mostWrong = 5

// An indebted is a user whose wrong codes cannot be written.
type indebted struct {
	t *testing.T
	s *narrow
	r account.Records
	u *account.User
	// locks are counted by the audit log.
	locks atomic.Int64
}

func newIndebted(t *testing.T) *indebted {
	t.Helper()
	in := &indebted{t: t, s: &narrow{}}
	log, err := audit.Open(audit.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	log.Observe(func(ev mfa.Event) {
		if ev.Event == audit.Locked && ev.User == alice.Name {
			in.locks.Add(1)
		}
	})
	var accounts *account.Accounts
	in.r = account.Records{S: in.s, Owed: account.NewOwed(func() *account.Accounts { return accounts })}
	accounts = account.New(account.Config{Lockout: account.LockoutConfig{Failures: mostWrong, Window: mfa.Duration(time.Hour), Duration: mfa.Duration(time.Hour)}}, account.Deps{Records: in.r, Now: time.Now, Audit: log})
	in.u = accounts.User(in.r.Account(alice), mfa.Origin{})
	if err := in.r.UpdateState(t.Context(), alice.Name, func(st *mfa.State) error { st.UID, st.TOTPStep = alice.UID, 1; return nil }); err != nil {
		t.Fatal(err)
	}
	in.s.set(fmt.Errorf("no room: %w", unix.ENOSPC), false)
	return in
}

// guess is a login with a code, as one that is checked: the lock is looked at, then the code. It
// returns whether the code was looked at, and whether somebody is let in by it.
func (in *indebted) guess(right bool) (looked, letIn bool) {
	err := in.u.Account.Update(in.t.Context(), func(st *mfa.State) error {
		now := time.Now()
		if _, _, locked := st.Locked(now); locked {
			looked = false
			return nil
		}
		if looked = true; right {
			in.u.CountRight(st, mfa.TOTP, false, now)
			st.TOTPStep++
			return nil
		}
		in.u.CountWrong(st, mfa.TOTP, now)
		return nil
	})
	return looked, looked && right && err == nil
}

func (in *indebted) stored() mfa.State {
	in.t.Helper()
	st, err := in.r.StoredState(in.t.Context(), alice.Name)
	if err != nil {
		in.t.Fatal(err)
	}
	return st
}

// Wrong codes that are not written count as others do: up to the limit a right one is taken behind
// them, and then none is, whether they come one after another or all at once. With room they
// are in the store.
func TestOwedCodesCount(t *testing.T) {
	for name, guesses := range map[string]func(in *indebted) (looked int){
		"one after another": func(in *indebted) (looked int) {
			for range 100 {
				if l, _ := in.guess(false); l {
					looked++
				}
			}
			return looked
		},
		"at once": func(in *indebted) int {
			var looked atomic.Int64
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if l, _ := in.guess(false); l {
						looked.Add(1)
					}
				})
			}
			all.Wait()
			return int(looked.Load())
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := newIndebted(t)
			for range mostWrong - 1 {
				in.guess(false)
			}
			if _, ok := in.guess(true); !ok {
				t.Fatal("the right code is not taken before the limit")
			}
			if n := guesses(in); n != mostWrong {
				t.Errorf("%d codes are looked at, want %d", n, mostWrong)
			}
			if looked, _ := in.guess(true); looked {
				t.Error("the right code is looked at behind the lock")
			}
			if st := in.stored(); len(st.MethodFailures) > 0 {
				t.Errorf("stored, and the store took it: %+v", st)
			}
			in.s.set(nil, false)
			if err := in.r.PayOwed(t.Context()); err != nil {
				t.Error(err)
			}
			st := in.stored()
			if _, _, locked := st.Locked(time.Now()); !locked || st.MethodFailures[mfa.TOTP] != mostWrong {
				t.Errorf("with room: %+v", st)
			}
			if err := in.r.PayOwed(t.Context()); err != nil || in.locks.Load() != 1 {
				t.Errorf("the lock is told %d times; paid once more: %v", in.locks.Load(), err)
			}
		})
	}
}

// A wrong code that is there although the store said that it failed counts once.
func TestOwedCodeThatLanded(t *testing.T) {
	in := newIndebted(t)
	in.s.set(store.ErrUnreachable, true)
	in.guess(false)
	in.s.set(nil, false)
	for range mostWrong - 2 {
		in.guess(false)
	}
	if st := in.stored(); st.MethodFailures[mfa.TOTP] != mostWrong-1 || len(st.Failures) != mostWrong-1 {
		t.Errorf("%d wrong codes: %+v", mostWrong-1, st)
	}
	if _, ok := in.guess(true); !ok {
		t.Error("locked before the limit")
	}
}

// What has to begin anew, as something that was read changed, is not owed: it is counted then.
func TestStaleIsNotOwed(t *testing.T) {
	in := newIndebted(t)
	in.s.set(store.ErrStale, false)
	in.guess(false)
	in.s.set(nil, false)
	in.guess(false)
	if st := in.stored(); st.MethodFailures[mfa.TOTP] != 1 {
		t.Errorf("%+v", st)
	}
}

// A right code that could not be written is not owed: nobody was let in by it.
func TestRightCodeIsNotOwed(t *testing.T) {
	in := newIndebted(t)
	in.s.all = true
	in.guess(true)
	in.s.set(nil, false)
	if err := in.r.PayOwed(t.Context()); err != nil || in.stored().TOTPStep != 1 {
		t.Errorf("%+v, %v", in.stored(), err)
	}
}

// A lock that is stored is not told again by what is owed behind it.
func TestOwedBehindALock(t *testing.T) {
	in := newIndebted(t)
	in.s.set(nil, false)
	for range mostWrong {
		in.guess(false)
	}
	in.s.set(unix.ENOSPC, false)
	_ = in.r.UpdateState(t.Context(), alice.Name, func(st *mfa.State) error { st.MethodFailures[mfa.TOTP]++; return nil })
	in.s.set(nil, false)
	if err := in.r.PayOwed(t.Context()); err != nil || in.locks.Load() != 0 || in.stored().MethodFailures[mfa.TOTP] != mostWrong+1 {
		t.Errorf("told %d times; %+v, %v", in.locks.Load(), in.stored(), err)
	}
}

// What another host wrote meanwhile stays, and the codes of both are one count.
func TestOwedCodesBesideAnothersCodes(t *testing.T) {
	in := newIndebted(t)
	in.guess(false)
	in.guess(false)
	other := account.Records{S: &in.s.Memory}
	err := other.UpdateState(t.Context(), alice.Name, func(st *mfa.State) error {
		now := time.Now()
		st.Failures, st.BackupUsed = []time.Time{now.Add(-3), now.Add(-2), now.Add(-1)}, []int{4}
		st.MethodFailures = map[mfa.Method]int{mfa.TOTP: 3}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked, _ := in.guess(true); looked {
		t.Error("three there and two here are five, and lock")
	}
	in.s.set(nil, false)
	if err := in.r.PayOwed(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := in.stored()
	if _, _, locked := st.Locked(time.Now()); !locked || len(st.BackupUsed) != 1 {
		t.Errorf("%+v", st)
	}
}

// A reset ends what is owed, and a right code does; neither comes back.
func TestOwedCodesEnd(t *testing.T) {
	in := newIndebted(t)
	in.guess(false)
	if err := in.r.ResetUser(t.Context(), alice.Name, time.Now()); err != nil {
		t.Fatal(err)
	}
	in.guess(true)
	in.guess(false)
	in.guess(true)
	in.s.set(nil, false)
	if err := in.r.PayOwed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := in.stored(); len(st.Failures)+len(st.MethodFailures) > 0 {
		t.Errorf("%+v", st)
	}
}

// Who waits for the turn of a user waits no longer than their login.
func TestTurnIsWaitedForInTime(t *testing.T) {
	in := newIndebted(t)
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = in.r.UpdateState(context.Background(), alice.Name, func(*mfa.State) error { close(held); <-release; return nil })
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := in.r.UpdateState(ctx, alice.Name, func(*mfa.State) error { t.Error("in the turn of another"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(release)
	<-done
}
