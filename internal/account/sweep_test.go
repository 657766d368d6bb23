package account_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

const day = 24 * time.Hour

// All that is over goes, and what still counts stays; a state with nothing left goes whole.
func TestSweep(t *testing.T) {
	at := func(d time.Duration) time.Time { return confirmed.Add(d) }
	until := func(d time.Duration) *time.Time { return new(at(d)) }
	epoch := func(d time.Duration) int64 { return at(d).UnixNano() }
	for name, tc := range map[string]struct {
		has, want mfa.State
	}{
		"sessions": {
			mfa.State{Sessions: []mfa.Session{{ID: "over", Expires: confirmed}, {ID: "stands", Expires: at(time.Second)}}},
			mfa.State{Sessions: []mfa.Session{{ID: "stands", Expires: at(time.Second)}}},
		},
		"codes": {
			mfa.State{Pending: []mfa.PendingCode{{To: "over", Expires: at(-day)}, {To: "told of", Expires: at(-day + 1)}}},
			mfa.State{Pending: []mfa.PendingCode{{To: "told of", Expires: at(-day + 1)}}},
		},
		"sendings": {
			mfa.State{Sends: []time.Time{at(-day), at(-time.Hour)}, PlaceSends: []mfa.PlaceSend{{Origin: "a", At: at(-day)}, {Origin: "b", At: at(-time.Hour)}}},
			mfa.State{Sends: []time.Time{at(-time.Hour)}, PlaceSends: []mfa.PlaceSend{{Origin: "b", At: at(-time.Hour)}}},
		},
		"wrong codes": {
			mfa.State{Failures: []time.Time{at(-30 * day), at(-29 * day)}}, mfa.State{Failures: []time.Time{at(-29 * day)}},
		},
		"a setup": {
			mfa.State{Enrolling: &mfa.Enrolling{ID: "one", Began: at(-day - 1)}, TOTPStep: 7}, mfa.State{TOTPStep: 7},
		},
		"a lock that is over": {
			mfa.State{LockedUntil: until(0), LockedFor: 7, LockedBy: "root", Recovery: &mfa.Recovery{Expires: at(time.Hour)}, TOTPStep: 7}, mfa.State{TOTPStep: 7},
		},
		"two locks, one over": {
			mfa.State{LockedUntil: until(0), LockedHard: true}, mfa.State{LockedHard: true},
		},
		"mails": {
			mfa.State{LockMails: []time.Time{at(-day), at(-1)}, ShelfTries: []time.Time{at(-day), at(-1)}, Told: []mfa.AddressNoticed{{Address: "a", At: at(-day)}, {Address: "b", At: at(-1)}}},
			mfa.State{LockMails: []time.Time{at(-1)}, ShelfTries: []time.Time{at(-1)}, Told: []mfa.AddressNoticed{{Address: "b", At: at(-1)}}},
		},
		"an epoch alone":         {mfa.State{Epoch: epoch(-day - 1)}, mfa.State{}},
		"the epoch of today":     {mfa.State{Epoch: epoch(-day + 1)}, mfa.State{Epoch: epoch(-day + 1)}},
		"an epoch of what is":    {mfa.State{Epoch: epoch(-2 * day), TOTPStep: 7}, mfa.State{Epoch: epoch(-2 * day), TOTPStep: 7}},
		"a lock that lasts":      {mfa.State{LockedUntil: until(1)}, mfa.State{LockedUntil: until(1)}},
		"a lock without end":     {mfa.State{LockedHard: true, LockedBy: "root"}, mfa.State{LockedHard: true, LockedBy: "root"}},
		"what was spent":         {mfa.State{BackupID: "a", BackupUsed: []int{1}}, mfa.State{BackupID: "a", BackupUsed: []int{1}}},
		"what a method has":      {mfa.State{MethodFailures: map[mfa.Method]int{mfa.TOTP: 5}}, mfa.State{MethodFailures: map[mfa.Method]int{mfa.TOTP: 5}}},
		"a demand of a password": {mfa.State{MustChangePassword: true}, mfa.State{MustChangePassword: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newHarness(t, strict())
			w.has(mfa.Enrollment{}, tc.has)
			swept, err := w.Sweep(t.Context())
			if changed := !reflect.DeepEqual(tc.has, tc.want); err != nil || (swept == 1) != changed {
				t.Errorf("%s: swept %d, %v", name, swept, err)
			}
			st, gone := w.state(), false
			if _, err := w.store.Get(t.Context(), store.States+"alice"); errors.Is(err, store.ErrNotFound) {
				gone = true
			}
			if st.UID = 0; !reflect.DeepEqual(st, tc.want) || gone != reflect.DeepEqual(tc.want, mfa.State{}) {
				t.Errorf("%s: left %+v, want %+v; gone %v", name, st, tc.want, gone)
			}
		})
	}
}

// One record that cannot be read keeps no other from being swept, and stays as it is.
func TestSweepGoesOn(t *testing.T) {
	w := newHarness(t, strict())
	w.hasOver(t, "a", "c", "d")
	put(t, w.Records(), store.States+"b", "{")
	if swept, err := w.Sweep(t.Context()); swept != 3 || err != nil {
		t.Errorf("swept %d, %v", swept, err)
	}
	if got := stored(t, w.Records(), store.States+"b"); got != "{" {
		t.Errorf("what cannot be read became %q", got)
	}
	if names, err := w.Records().StateUsers(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("left: %q, %v", names, err)
	}
}

// Many are written at once, then there is a pause, and the end of ctx ends the sweep in it.
func TestSweepIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHarness(t, strict())
		var names []string
		for i := range 200 {
			names = append(names, fmt.Sprintf("u%03d", i))
		}
		w.hasOver(t, names...)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond) // within the pause after the second
		defer cancel()
		if swept, err := w.Sweep(ctx); swept != 128 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("swept %d, %v", swept, err)
		}
		began := time.Now()
		if swept, err := w.Sweep(t.Context()); swept != 72 || err != nil {
			t.Errorf("then swept %d, %v", swept, err)
		}
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("with one pause it took %v", took)
		}
	})
}

// hasOver stores, for each of names, a state in which all is over.
func (w *harness) hasOver(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		err := w.Records().UpdateState(t.Context(), name, func(st *mfa.State) error {
			*st = mfa.State{UID: 1, Failures: []time.Time{confirmed.Add(-31 * day)}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// It is done not at the start, then each day, until it is told to end, and then ends at once.
func TestSweeperRunsDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHarness(t, strict())
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		s := account.Sweeper{Accounts: func() *account.Accounts { return w.Accounts }, Aliases: &account.Aliases{Records: w.Records()}}
		go func() {
			defer close(done)
			s.Run(ctx)
		}()
		left := func() int {
			synctest.Wait()
			names, err := w.Records().StateUsers(t.Context())
			if err != nil {
				t.Error(err)
			}
			return len(names)
		}
		w.hasOver(t, "gone")
		if time.Sleep(9 * time.Minute); left() != 1 {
			t.Error("swept at the start")
		}
		for range 3 {
			w.hasOver(t, "gone")
			if time.Sleep(day); left() != 0 {
				t.Error("not swept")
			}
		}
		end()
		<-done
	})
}
