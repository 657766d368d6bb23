package spend_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mfa/internal/deliver/spend"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// newFleet returns the ledgers of n hosts on s.
func newFleet(s store.Store, n int, limits spend.Limits) (all []*spend.Ledger) {
	for i := range n {
		l, _ := newLedger(s, limits)
		l.Host = fmt.Sprint("host", i)
		l.Look = func(ctx context.Context, key string) ([]byte, error) {
			it, err := s.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return it.Value, err
		}
		all = append(all, l)
	}
	return all
}

// However many hosts send at once, each limit is reached and never passed; one alert is
// raised for all of them.
func TestFleetLimits(t *testing.T) {
	for _, c := range limitCases {
		for _, most := range []int{1, 10, 50} {
			t.Run(fmt.Sprint(c.limit, " ", most), func(t *testing.T) {
				var granted, alerts atomic.Int64
				hosts := newFleet(&storetest.Memory{}, 20, c.limits(most))
				for _, l := range hosts {
					l.Alert = func(_ string, used, limit int) {
						if alerts.Add(1); used > most || used*100 < most*80 || limit != most {
							t.Errorf("alert at %d of %d", used, limit)
						}
					}
				}
				var group sync.WaitGroup
				for i := range 99 {
					group.Go(func() {
						err := hosts[i%len(hosts)].Reserve(t.Context(), c.user(i), c.to(i), false)
						if err == nil {
							granted.Add(1)
						} else if !errors.Is(err, spend.ErrLimit) || !strings.Contains(err.Error(), c.limit) {
							t.Error(err)
						}
					})
				}
				group.Wait()
				if granted.Load() != int64(most) {
					t.Errorf("%d were granted, want %d", granted.Load(), most)
				}
				u := usage(t, hosts[0])
				counted := 0
				for _, use := range u.Prefixes {
					counted += use.Used
				}
				if u.Total.Used != most || counted != most {
					t.Errorf("%d counted in all, %d of prefixes, want %d", u.Total.Used, counted, most)
				}
				if total, err := hosts[7].Total(t.Context()); err != nil || total.Used != most {
					t.Errorf("total %+v, %v", total, err)
				}
				if n := alerts.Load(); c.limit == spend.LimitTotal && (n < 1 || n > 2) || c.limit != spend.LimitTotal && n != 0 {
					t.Errorf("%d alerts", n)
				}
			})
		}
	}
}

// No item is written by all hosts.
func TestFleetHasNoHotItem(t *testing.T) {
	s := &storetest.Memory{}
	hosts := newFleet(s, 64, spend.Limits{TotalPerHour: 1000, PrefixPerHour: 1000})
	writers := map[string]map[string]bool{}
	for i, l := range hosts {
		update := l.Update
		l.Update = func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
			if writers[key] == nil {
				writers[key] = map[string]bool{}
			}
			writers[key][l.Host] = true
			return update(ctx, key, fn)
		}
		reserve(t, l, fmt.Sprint("user", i), fmt.Sprintf("+1%03d5550100", 200+i))
	}
	for key, by := range writers {
		if len(by) > len(hosts)/4 {
			t.Errorf("%q is written by %d of %d hosts", key, len(by), len(hosts))
		}
	}
}
