package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// How long a host that was chosen and died keeps others from being chosen, in seconds, and
// how long one waits to be chosen: longer, and another is at it.
const (
	chosenFor  = 30
	chosenWait = 5 * time.Second
)

// Alone calls do on one host of the fleet, unless it was done, on any host, less than rest
// ago. Etcd's election chooses; a lease of etcd is the clock, so that no host's clock counts.
// The ctx of do ends when this host is not the chosen one any more. Done says whether do ran
// here and returned nil.
func (s *Store) Alone(ctx context.Context, what string, rest time.Duration, do func(context.Context) error) (done bool, err error) {
	if fresh, err := s.isFresh(ctx, what); err != nil || fresh {
		return false, err
	}
	session, err := concurrency.NewSession(s.client, concurrency.WithTTL(chosenFor), concurrency.WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("choose who does %s: %w", what, s.explain(writing, err))
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	choice := concurrency.NewElection(session, s.prefix+"elect/"+what)
	wait, cancel := context.WithTimeout(ctx, chosenWait)
	defer cancel()
	if err := choice.Campaign(wait, ""); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return false, nil // another host is at it
		}
		return false, fmt.Errorf("choose who does %s: %w", what, err)
	}
	if fresh, err := s.isFresh(ctx, what); err != nil || fresh {
		return false, err
	}
	chosen, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(session.Ctx(), cancel)()
	if err := do(chosen); err != nil {
		return false, err
	}
	return true, s.note(ctx, what, rest)
}

// isFresh says whether what was done is noted still.
func (s *Store) isFresh(ctx context.Context, what string) (fresh bool, err error) {
	var resp *clientv3.GetResponse
	err = s.call(ctx, reading, func(ctx context.Context) (err error) {
		resp, err = s.client.Get(ctx, s.prefix+"done/"+what, clientv3.WithCountOnly())
		return err
	}, func() int64 { return resp.Header.Revision })
	return err == nil && resp.Count > 0, err
}

// note notes for that long that something was done.
func (s *Store) note(ctx context.Context, what string, rest time.Duration) error {
	return s.call(ctx, writing, func(ctx context.Context) error {
		lease, err := s.client.Grant(ctx, int64(rest/time.Second))
		if err != nil {
			return err
		}
		_, err = s.client.Put(ctx, s.prefix+"done/"+what, "", clientv3.WithLease(lease.ID))
		return err
	}, func() int64 { return s.past.newest() })
}
