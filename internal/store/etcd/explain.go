package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"mfa/internal/store"
)

// explain says what an administrator can do about err.
func (s *Store) explain(how kind, err error) error {
	is := func(target error) bool { return errors.Is(rpctypes.Error(err), target) }
	switch {
	case errors.As(err, new(*doubtError)):
		return err
	case is(rpctypes.ErrNoSpace):
		return fmt.Errorf("etcd takes no writes, its database has reached its quota: compact and defragment it, then run etcdctl alarm disarm: %w", err)
	case is(rpctypes.ErrPermissionDenied):
		return fmt.Errorf("etcd does not let this host's user use %q: grant its role readwrite on that prefix (etcdctl role grant-permission --prefix=true ROLE readwrite %s): %w", s.prefix, s.prefix, err)
	case is(rpctypes.ErrUserEmpty):
		return fmt.Errorf("etcd does not know who this host is: set store.etcd.username and store.etcd.password_file, "+
			"or store.etcd.cert_file and store.etcd.key_file with a certificate whose common name is a user of etcd: %w", err)
	case is(rpctypes.ErrAuthFailed):
		return fmt.Errorf("etcd refuses store.etcd.username and the password in store.etcd.password_file: %w", err)
	case is(rpctypes.ErrNoLeader), is(rpctypes.ErrLeaderChanged), is(rpctypes.ErrTimeoutDueToLeaderFail):
		return fmt.Errorf("%w: it has no leader now, as where most of its members are down: %w", store.ErrUnreachable, err)
	case is(rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("the record is larger than etcd takes (etcd --max-request-bytes): %w", err)
	case is(rpctypes.ErrCorrupt):
		return fmt.Errorf("a member of etcd found its data corrupt: replace that member: %w", err)
	}
	if how == writing && mayHaveHappened(err) {
		return fmt.Errorf("%w, and it is not known whether the write happened: %w", store.ErrUnreachable, err)
	}
	if isNoAnswer(err) {
		return fmt.Errorf("%w at %s within %s: %w", store.ErrUnreachable, strings.Join(s.client.Endpoints(), ", "), s.timeout, err)
	}
	return err
}

func isNoAnswer(err error) bool {
	code := status.Code(err)
	late := code == codes.Unknown && strings.Contains(err.Error(), context.DeadlineExceeded.Error()) // a member's own
	return late || errors.Is(err, context.DeadlineExceeded) || code == codes.Unavailable || code == codes.DeadlineExceeded
}

// mayHaveHappened says whether a write that ended with err may have been done, or may be
// done later. Only a refusal by etcd is sure.
func mayHaveHappened(err error) bool {
	var e rpctypes.EtcdError
	if !errors.As(rpctypes.Error(err), &e) {
		return true
	}
	return e.Code() == codes.Unavailable || e.Code() == codes.DeadlineExceeded || e.Code() == codes.Unknown
}

// sayAgain is how often the log says that etcd still cannot be reached.
const sayAgain = 30 * time.Second

// told remembers what the log said of etcd, so that a thousand logins that fail are not a
// thousand lines. It may be used from many goroutines.
type told struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	down  time.Time  // when it was last said that it is down; zero: it is not
	since time.Time
	lost  int // answers that were missed since
	watch time.Time
}

// answered takes in the outcome of a call.
func (t *told) answered(log *slog.Logger, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	switch {
	case err == nil && !t.down.IsZero():
		log.Info("etcd answers again", "after", now.Sub(t.since).Round(time.Millisecond), "failed", t.lost)
		t.down, t.lost = time.Time{}, 0
	case err == nil, errors.Is(err, context.Canceled):
	case t.down.IsZero():
		log.Error("etcd does not do what is asked; logins that need it are refused", "error", err)
		t.down, t.since, t.lost = now, now, 1
	default:
		if t.lost++; now.Sub(t.down) >= sayAgain {
			t.down = now
			log.Error("etcd still does not do what is asked", "since", now.Sub(t.since).Round(time.Second), "failed", t.lost, "error", err)
		}
	}
}

// watchEnded says that a watch ended, at most every sayAgain.
func (t *told) watchEnded(log *slog.Logger, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.watch) < sayAgain {
		return
	}
	t.watch = now
	log.Warn("the watch on etcd ended, and begins anew; until then every login asks etcd what it reads", "error", err)
}
