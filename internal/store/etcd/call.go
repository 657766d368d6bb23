package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A kind of question to etcd.
type kind bool

const (
	reading kind = false // changes nothing: it may be asked again
	writing kind = true  // is sent once
)

// againAfter is the wait before a question that changes nothing is asked again.
const againAfter = 50 * time.Millisecond

// call asks etcd something, within the timeout. A question that changes nothing is asked
// again while there is time; what writes is not, and goes on to its end even if ctx ends.
// Revision returns that of the answer.
func (s *Store) call(ctx context.Context, how kind, ask func(context.Context) error, revision func() int64) error {
	outer := ctx
	if how == writing {
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	before := s.past.newest()
	err := ask(ctx)
	for how == reading && passes(err) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(againAfter):
			err = ask(ctx)
		}
	}
	switch {
	case err == nil:
		err = s.past.heard(before, revision())
	case outer.Err() != nil:
		err = fmt.Errorf("%w: %w", outer.Err(), err)
	default:
		err = s.explain(how, err)
	}
	s.told.answered(s.log, err)
	if how == writing {
		s.health.wrote(err)
	}
	return err
}

// passes says whether err may be over in a moment: a member is gone, or has no leader.
func passes(err error) bool {
	if err == nil {
		return false
	}
	var e rpctypes.EtcdError
	if errors.As(rpctypes.Error(err), &e) {
		return e.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// past holds the newest revision that etcd has shown. It may be used from many goroutines.
type past struct {
	rev  atomic.Int64
	back atomic.Pointer[string] // etcd went back; why it is not believed any more
}

func (p *past) newest() int64 { return p.rev.Load() }

// heard takes in the revision of an answer; before is newest of when it was asked for. An
// older one is an error, from then on for good: etcd was restored from a copy, so codes
// that were used and locks may be forgotten.
func (p *past) heard(before, rev int64) error {
	if rev < before && p.back.Load() == nil {
		p.back.Store(new(fmt.Sprintf("etcd went back from revision %d to %d, as after a restore of an older copy: codes that were used and locks may be forgotten; "+
			"if that is meant, restart mfad on every host", before, rev)))
	}
	if why := p.back.Load(); why != nil {
		return errors.New(*why)
	}
	for {
		now := p.rev.Load()
		if rev <= now || p.rev.CompareAndSwap(now, rev) {
			return nil
		}
	}
}

// health holds the error of the last write. It may be used from many goroutines.
type health struct {
	mu  sync.Mutex // guards err
	err error      // nil: it went well
}

func (h *health) wrote(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = nil
	if err != nil && !errors.Is(err, context.Canceled) {
		h.err = err
	}
}

func (h *health) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
