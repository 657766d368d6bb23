package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"mfa/internal/store"
	"mfa/internal/wire"
)

// A Late is a Store that may not be there yet: a daemon that starts while etcd is away
// still serves the logins that need no store. Until Come every call is refused. It may be
// used from many goroutines.
type Late struct {
	now atomic.Pointer[Store]
}

// Come says that the store is there from now on.
func (l *Late) Come(s *Store) { l.now.Store(s) }

// Here returns the store, nil if it has not come.
func (l *Late) Here() *Store { return l.now.Load() }

// errAway is the error until Come.
var errAway = fmt.Errorf("%w since this daemon started", store.ErrUnreachable)

// reach returns the store, or what to refuse a call about key with.
func (l *Late) reach(ctx context.Context, do, key string) (*Store, error) {
	if s := l.now.Load(); s != nil {
		return s, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s %q: %w", do, key, err)
	}
	return nil, fmt.Errorf("%s %q: %w", do, key, errAway)
}

// Get implements store.Store.
func (l *Late) Get(ctx context.Context, key string) (store.Item, error) {
	s, err := l.reach(ctx, "get", key)
	if err != nil {
		return store.Item{}, err
	}
	return s.Get(ctx, key)
}

// Put implements store.Store.
func (l *Late) Put(ctx context.Context, it store.Item) (store.Item, error) {
	s, err := l.reach(ctx, "put", it.Key)
	if err != nil {
		return store.Item{}, err
	}
	return s.Put(ctx, it)
}

// Delete implements store.Store.
func (l *Late) Delete(ctx context.Context, it store.Item) error {
	s, err := l.reach(ctx, "delete", it.Key)
	if err != nil {
		return err
	}
	return s.Delete(ctx, it)
}

// Keys implements store.Store.
func (l *Late) Keys(ctx context.Context, prefix string) ([]string, error) {
	s, err := l.reach(ctx, "list", prefix)
	if err != nil {
		return nil, err
	}
	return s.Keys(ctx, prefix)
}

// Scan implements store.Cacher.
func (l *Late) Scan(ctx context.Context, prefix string, fn func(store.Item, error) error) error {
	s, err := l.reach(ctx, "read all of", prefix)
	if err != nil {
		return err
	}
	return s.Scan(ctx, prefix, fn)
}

// Confirm implements store.Cacher. Nothing was read before the store came.
func (l *Late) Confirm(ctx context.Context) error {
	if s := l.now.Load(); s != nil {
		return s.Confirm(ctx)
	}
	return nil
}

// Location implements store.Locator.
func (l *Late) Location(key string) string {
	if s := l.now.Load(); s != nil {
		return s.Location(key)
	}
	return fmt.Sprintf("%q in etcd", key)
}

// Check is Store.Check.
func (l *Late) Check(ctx context.Context) error {
	s, err := l.reach(ctx, "check", "store")
	if err != nil {
		return err
	}
	return s.Check(ctx)
}

// Retag is Store.Retag.
func (l *Late) Retag(ctx context.Context) error {
	s, err := l.reach(ctx, "seal anew", "records")
	if err != nil {
		return err
	}
	return s.Retag(ctx)
}

// Alone is Store.Alone.
func (l *Late) Alone(ctx context.Context, what string, rest time.Duration, do func(context.Context) error) (bool, error) {
	s, err := l.reach(ctx, "choose who does", what)
	if err != nil {
		return false, err
	}
	return s.Alone(ctx, what, rest, do)
}

// Fleet is Store.Fleet.
func (l *Late) Fleet(ctx context.Context) wire.Fleet {
	if s := l.now.Load(); s != nil {
		return s.Fleet(ctx)
	}
	return wire.Fleet{Partly: errAway.Error()}
}

// Close closes the store, if it came.
func (l *Late) Close() error {
	if s := l.now.Load(); s != nil {
		return s.Close()
	}
	return nil
}

// Await opens the store as soon as etcd can be reached, trying again and again until ctx
// ends. Any other error than store.ErrUnreachable ends it, too.
func Await(ctx context.Context, cfg store.EtcdConfig, opts Options) (*Store, error) {
	var quiet *hush
	if opts.Log != nil {
		quiet = &hush{Handler: opts.Log.Handler()}
		opts.Log = slog.New(quiet)
	}
	for tries := 1; ; tries++ {
		s, err := Open(ctx, cfg, opts)
		if err == nil || !errors.Is(err, store.ErrUnreachable) {
			quiet.set(false)
			return s, err
		}
		quiet.set(tries%int(sayAgain/awaitEvery) != 0)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(awaitEvery):
		}
	}
}

// awaitEvery is the pace of Await.
const awaitEvery = time.Second

// A hush is a slog.Handler that can be silenced, so that attempts which fail one after
// another are not a line each. It may be used from many goroutines.
type hush struct {
	slog.Handler
	silent atomic.Bool
}

// set silences h, or has it speak again; nil is no log.
func (h *hush) set(silent bool) {
	if h != nil {
		h.silent.Store(silent)
	}
}

// Enabled implements slog.Handler.
func (h *hush) Enabled(ctx context.Context, level slog.Level) bool {
	return !h.silent.Load() && h.Handler.Enabled(ctx, level)
}
