package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"mfa/internal/store"
)

// A kind of question to etcd.
type kind bool

const (
	reading kind = false // changes nothing: it may be asked again
	writing kind = true  // is sent once
)

// againAfter is the wait before a question that changes nothing is asked again.
const againAfter = 50 * time.Millisecond

// attempts is how many members a question that changes nothing can be put to within the
// timeout, where one says nothing.
const attempts = 3

// call asks etcd something, within the timeout. A question that changes nothing is asked
// again while there is time, and goes to another member then. What writes goes on to its
// end even if ctx ends, and is sent again only where a member said that it had no leader,
// and so did nothing. Revision returns that of the answer.
func (s *Store) call(ctx context.Context, how kind, ask func(context.Context) error, revision func() int64) error {
	outer := ctx
	if how == writing {
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), s.timeout)
	defer cancel()
	before := s.past.newest()
	err := s.attempt(ctx, how, ask)
	for how.again(err) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(againAfter):
			err = s.attempt(ctx, how, ask)
		}
	}
	switch {
	case err == nil:
		if err = s.past.heard(before, revision()); err == nil {
			s.heard()
		}
	case outer.Err() != nil:
		err = fmt.Errorf("%w: %w", outer.Err(), err)
	case s.past.doubted() != nil:
		err = s.past.doubted() // that it cannot be reached either is no news
	default:
		err = s.explain(how, err)
	}
	s.told.answered(s.log, err)
	if how == writing {
		s.health.wrote(err)
	}
	return err
}

// attempt asks once.
func (s *Store) attempt(ctx context.Context, how kind, ask func(context.Context) error) error {
	if how == reading {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout/attempts)
		defer cancel()
	}
	return ask(ctx)
}

// again says whether a question that ended with err may be asked again.
func (k kind) again(err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(rpctypes.Error(err), rpctypes.ErrNoLeader):
		return true // the member looks for its leader before anything else
	}
	return k == reading && (passes(err) || isNoAnswer(err))
}

// passes says whether err may be over in a moment: a member is gone, or has no leader.
func passes(err error) bool {
	var e rpctypes.EtcdError
	return errors.As(rpctypes.Error(err), &e) && e.Code() == codes.Unavailable
}

// past holds what etcd has shown of its history. It may be used from many goroutines.
type past struct {
	rev     atomic.Int64  // the newest revision
	term    atomic.Uint64 // the newest term of raft
	cluster atomic.Uint64 // 0: nothing was heard yet

	doubts atomic.Pointer[doubtError] // why etcd is not believed any more
}

// A doubtError says why etcd is not believed any more: it forgot, or is another one.
type doubtError struct{ text string }

func (e *doubtError) Error() string { return e.text }

// Is says that it is store.ErrForgot.
func (e *doubtError) Is(target error) bool { return target == store.ErrForgot }

func (p *past) newest() int64 { return p.rev.Load() }

// heard takes in the revision of an answer; before is newest of when it was asked for. An
// older one is an error, from then on for good: etcd was restored from a copy, so codes
// that were used and locks may be forgotten.
func (p *past) heard(before, rev int64) error {
	if rev < before {
		p.doubt(fmt.Sprintf("etcd went back from revision %d to %d, as after a restore of an older copy", before, rev))
	}
	if err := p.doubted(); err != nil {
		return err
	}
	for {
		now := p.rev.Load()
		if rev <= now || p.rev.CompareAndSwap(now, rev) {
			return nil
		}
	}
}

// doubt has nothing of etcd believed any more, for the first reason that is given.
func (p *past) doubt(why string) {
	p.doubts.CompareAndSwap(nil, &doubtError{why + ": codes that were used and locks may be forgotten; " +
		"if that is meant, restart mfad on every host"})
}

// doubted returns the reason of doubt, nil if there was none.
func (p *past) doubted() error {
	if why := p.doubts.Load(); why != nil {
		return why
	}
	return nil
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
