package etcd

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/store/etcd/etcdtest"
)

// Of many hosts one does it; the others do not, nor soon after; where it failed or the
// host was gone, another does it.
func TestAlone(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg, opts := config(c), with(newKey(t))
	var hosts []*Store
	for range 5 {
		hosts = append(hosts, open(t, cfg, opts))
	}
	var ran, now, most atomic.Int64
	all := func(do func(context.Context) error) (did int) {
		var mu sync.Mutex
		var group sync.WaitGroup
		for _, s := range hosts {
			group.Go(func() {
				done, err := s.Alone(t.Context(), "sweep", time.Hour, func(ctx context.Context) error {
					ran.Add(1)
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					return do(ctx)
				})
				if err != nil && !errors.Is(err, errFailed) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if done {
					did++
				}
			})
		}
		group.Wait()
		return did
	}
	if did := all(func(context.Context) error { return errFailed }); did != 0 || ran.Load() != 5 || most.Load() != 1 {
		t.Errorf("%d say it is done, %d tried, %d at once; want 0, 5, 1", did, ran.Load(), most.Load())
	}
	ran.Store(0)
	for _, want := range []int{1, 0} {
		if did := all(func(context.Context) error { return nil }); did != want {
			t.Errorf("%d did it, want %d", did, want)
		}
	}
	if ran.Load() != 1 || most.Load() != 1 {
		t.Errorf("done %d times, %d at once", ran.Load(), most.Load())
	}
}

var errFailed = errors.New("failed")

// A host that dies while it is at it is noticed, and it notices itself.
func TestAloneEnds(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg, opts := config(c), with(newKey(t))
	s := open(t, cfg, opts)
	_, err := s.Alone(t.Context(), "sweep", time.Hour, func(ctx context.Context) error {
		leases, err := s.client.Leases(t.Context())
		if err != nil || len(leases.Leases) != 1 {
			t.Fatalf("%v, %v", leases, err)
		}
		if _, err := s.client.Revoke(t.Context(), leases.Leases[0].ID); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * chosenFor * time.Second):
			t.Error("it goes on though it is not the chosen one any more")
			return nil
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Alone = %v", err)
	}
	if done, err := open(t, cfg, opts).Alone(t.Context(), "sweep", time.Hour, func(context.Context) error { return nil }); !done || err != nil {
		t.Errorf("after it: %v, %v", done, err)
	}
}
