package spend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/deliver/spend"
	"mfa/internal/store/storetest"
)

// TestLedgerParallel lets 64 goroutines of two daemons race for ten places.
func TestLedgerParallel(t *testing.T) {
	for _, c := range limitCases {
		t.Run(c.limit, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			one, _ := newLedger(s, c.limits(10))
			two, _ := newLedger(s, c.limits(10))
			var granted atomic.Int64
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					l := []*spend.Ledger{one, two}[i%2]
					err := l.Reserve(t.Context(), c.user(i), c.to(i), false)
					switch {
					case err == nil:
						granted.Add(1)
					case !errors.Is(err, spend.ErrLimit):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := granted.Load(); n != 10 {
				t.Errorf("%d were granted, want 10", n)
			}
			counted := 0
			u := usage(t, one)
			for _, use := range u.Users {
				counted += use.Used
			}
			for _, use := range u.Numbers {
				counted += use.Used
			}
			if u.Total.Used != 10 || counted != 20 {
				t.Errorf("counted %d in all, %d of users and numbers", u.Total.Used, counted)
			}
		})
	}
}

func TestLedgerHoldsAcrossReopen(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		s := openStore(t, dir)
		l, _ := newLedger(s, spend.Limits{UserPerDay: 3, TotalPerHour: 4})
		reserve(t, l, "alice", "+12025550100")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l, _ := newLedger(openStore(t, dir), spend.Limits{UserPerDay: 3, TotalPerHour: 4})
	refused(t, l, "alice", "+12025550100", spend.LimitUser)
	reserve(t, l, "bob", "+12025550100")
	refused(t, l, "carol", "+12025550100", spend.LimitTotal)
}

// TestLedgerGivesBack loses the last place after the first records are written.
func TestLedgerGivesBack(t *testing.T) {
	s := &storetest.Memory{}
	l, _ := newLedger(s, spend.Limits{TotalPerHour: 1})
	rival, _ := newLedger(s, spend.Limits{TotalPerHour: 1})
	looks := 0
	update := l.Update
	l.Update = func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
		if key == "meta/spend" {
			if looks++; looks == 2 {
				reserve(t, rival, "bob", "+442079460000")
			}
		}
		return update(ctx, key, fn)
	}
	refused(t, l, "alice", "+12025550100", spend.LimitTotal)
	u := usage(t, rival)
	if u.Total.Used != 1 || len(u.Users) != 1 || u.Users[0].Name != "bob" || len(u.Numbers) != 1 {
		t.Errorf("usage is %+v", u)
	}
}

// TestLedgerStoreFails counts nothing it cannot count everywhere, even when the
// login is gone by then.
func TestLedgerStoreFails(t *testing.T) {
	broken := errors.New("disk on fire")
	s := &storetest.Memory{}
	l, _ := newLedger(s, spend.Limits{})
	update := l.Update
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	l.Update = func(c context.Context, key string, fn func([]byte) ([]byte, error)) error {
		if key == "meta/spend" {
			if looks++; looks == 2 {
				cancel()
				return broken
			}
		}
		return update(c, key, fn)
	}
	err := l.Reserve(ctx, "alice", "+12025550100", false)
	if !errors.Is(err, broken) || errors.Is(err, spend.ErrLimit) {
		t.Errorf("error is %v", err)
	}
	if all := content(t, s); len(all) != 0 {
		t.Errorf("the store holds %v", all)
	}
	s.Fail(broken)
	if err := l.Reserve(t.Context(), "alice", "+12025550100", false); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	if _, err := l.Usage(t.Context()); !errors.Is(err, broken) {
		t.Errorf("usage: %v", err)
	}
}

// TestLedgerTurnEndsWithContext has one message stuck in the store, and another
// whose login ends.
func TestLedgerTurnEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storetest.Memory{}
		l, _ := newLedger(s, spend.Limits{})
		update := l.Update
		stuck := make(chan struct{})
		var writes atomic.Int64
		l.Update = func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
			return update(ctx, key, func(old []byte) ([]byte, error) {
				value, err := fn(old)
				if key == "meta/spend" && !bytes.Equal(value, old) && writes.Add(1) == 1 {
					<-stuck
				}
				return value, err
			})
		}
		var first error
		done := make(chan struct{})
		go func() {
			defer close(done)
			first = l.Reserve(t.Context(), "alice", number(1), false)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Reserve(ctx, "bob", number(2), false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		close(stuck)
		<-done
		if first != nil {
			t.Error(first)
		}
		if u := usage(t, l); u.Total.Used != 1 || len(u.Users) != 1 {
			t.Errorf("usage is %+v", u)
		}
	})
}

// TestLedgerFlood is an attacker with one password, and then with many: what is
// refused writes nothing, whichever limit it is.
func TestLedgerFlood(t *testing.T) {
	s := openStore(t, t.TempDir())
	l, _ := newLedger(s, spend.Limits{UserPerDay: 10, NumberPerDay: 20, PrefixPerHour: 50, TotalPerHour: 15})
	update := l.Update
	writes := 0
	l.Update = func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
		return update(ctx, key, func(old []byte) ([]byte, error) {
			value, err := fn(old)
			if err == nil && !bytes.Equal(value, old) {
				writes++
			}
			return value, err
		})
	}
	sent := 0
	for i := range 2_000 {
		name, to := "alice", "+12025550100"
		if i >= 1_000 {
			name, to = user(i), staff(i)
		}
		err := l.Reserve(t.Context(), name, to, false)
		switch {
		case err == nil:
			sent++
		case !errors.Is(err, spend.ErrLimit):
			t.Fatal(err)
		}
	}
	if sent != 15 || writes != 3*15 {
		t.Errorf("%d sent with %d writes, want 15 with 45", sent, writes)
	}
}

// staff returns numbers as the people of one country have: many, of 20 prefixes.
func staff(i int) string { return fmt.Sprintf("+447%02d%06d", i%20, i) }

// reserveInParallel reserves with parallel goroutines when users others have a
// message within the day.
func reserveInParallel(b *testing.B, users, parallel int) {
	s := openStore(b, b.TempDir())
	l, _ := newLedger(s, spend.Limits{})
	var next atomic.Int64
	each := func(n, goroutines int) {
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for range (n + goroutines - 1 - g) / goroutines {
					i := int(next.Add(1))
					if err := l.Reserve(b.Context(), user(i), staff(i), false); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	each(users, 256)
	b.ResetTimer()
	each(b.N, parallel)
}

func BenchmarkLedger(b *testing.B)      { reserveInParallel(b, 0, 1) }
func BenchmarkLedgerCrowd(b *testing.B) { reserveInParallel(b, 5_000, 1) }
func BenchmarkLedger64(b *testing.B)    { reserveInParallel(b, 0, 64) }
func BenchmarkLedger1000(b *testing.B)  { reserveInParallel(b, 0, 1000) }
