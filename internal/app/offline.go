package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"mfa/internal/account"
	"mfa/internal/config"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/local"
	"mfa/internal/store/offline"
	"mfa/internal/wire"
)

// A fleetStore is the store of a fleet, with what is kept on this host for the time without.
type fleetStore struct {
	*offline.Store
	late *etcd.Late
}

// Check returns why etcd cannot be read or written, or nil.
func (s fleetStore) Check(ctx context.Context) error { return s.late.Check(ctx) }

// Retag seals anew what needs a former key, of this host first: the fleet says at the end
// that none does.
func (s fleetStore) Retag(ctx context.Context) error {
	if err := s.Store.Retag(ctx); err != nil {
		return err
	}
	return s.late.Retag(ctx)
}

// Close closes both.
func (s fleetStore) Close() error { return errors.Join(s.Store.Close(), s.late.Close()) }

// A follower passes on what etcd tells to the store that follows it, once there is one. It
// may be used from many goroutines.
type follower struct{ to atomic.Pointer[offline.Store] }

func (f *follower) Heard() {
	if s := f.to.Load(); s != nil {
		s.Heard()
	}
}

func (f *follower) Began() {
	if s := f.to.Load(); s != nil {
		s.Began()
	}
}

func (f *follower) Changed(key string, open func() (store.Item, error)) {
	if s := f.to.Load(); s != nil {
		s.Changed(key, open)
	}
}

func (f *follower) Reached() {
	if s := f.to.Load(); s != nil {
		s.Reached()
	}
}

// openOffline opens what is kept on this host for the time without etcd, where the
// configuration wants that. It decides nothing before Return.
func (a *App) openOffline(cfg config.Config) error {
	if cfg.Store.Etcd.Offline != store.OfflineTOTP {
		return nil
	}
	s, err := a.openKept(cfg, a.late, account.Kept{Accounts: a.accounts}, time.Duration(cfg.Store.Etcd.OfflineFor))
	if errors.Is(err, syscall.EROFS) || store.IsFull(err) {
		err = errors.Join(err, offline.Distrust(cfg.Store.OfflineFolder()))
		a.opts.Log.Error("no user is kept on this host for the time without etcd, until a restart when its disk takes writes", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	a.offline = s
	a.follow.to.Store(s)
	a.use(fleetStore{s, a.late}, a.host)
	a.records.LetIn = s.LetIn
	a.metrics.Offline(func() bool { return s.Report().Away })
	return nil
}

func (a *App) openKept(cfg config.Config, fleet store.Cacher, users account.Kept, lasts time.Duration) (*offline.Store, error) {
	dir, was := cfg.Store.OfflineFolder(), ""
	there, err := local.Open(dir, func(known string) (*seal.Key, error) {
		if was = known; known != "" && !slices.Contains(a.key.IDs(), known) {
			return nil, fmt.Errorf("it is sealed with key %s, and this host has key %s: what was decided there and is not merged can be read with that key only; "+
				"where it is lost, remove the folder", known, a.key.ID())
		}
		return a.key, nil
	})
	if err != nil {
		return nil, fmt.Errorf("open what is kept for the time without etcd: %w", err)
	}
	ctx := context.Background()
	if err = store.CheckFormat(ctx, there); err == nil {
		var s *offline.Store
		s, err = offline.Open(ctx, offline.Options{
			Fleet: fleet, Here: there, Folder: dir, Key: a.key, Users: users, For: lasts, Now: a.opts.Now, Log: a.opts.Log,
		})
		if err == nil && was != "" && was != a.key.ID() {
			err = s.Retag(ctx) // on each host: the former key is about to be taken out of the file
		}
		if err == nil {
			err = account.NoteKey(ctx, there, a.key)
		}
		if err == nil {
			return s, nil
		}
		if s != nil {
			return nil, errors.Join(fmt.Errorf("%q: %w", dir, err), s.Close())
		}
	}
	return nil, errors.Join(fmt.Errorf("%q: %w", dir, err), there.Close())
}

// shared returns the store in which the daemon itself keeps what is the fleet's, or this
// host's if there is none.
func (a *App) shared() store.Store {
	if a.late != nil {
		return a.late
	}
	return a.store
}

// comeBack ends the time without etcd if that answers.
func (a *App) comeBack(ctx context.Context) {
	if a.offline == nil {
		return
	}
	if err := a.offline.Return(ctx); err != nil && !errors.Is(err, store.ErrUnreachable) {
		a.opts.Log.Error("logins are decided on this host alone for now", "error", err)
	}
}

// forgetOffline removes what an earlier configuration kept on this host for the time without
// etcd. What was decided by it is merged into fleet first; as long as that fails, it stays.
func (a *App) forgetOffline(ctx context.Context, cfg config.Config, fleet store.Cacher) error {
	dir := cfg.Store.OfflineFolder()
	if _, err := os.Lstat(dir); cfg.Store.Etcd.Offline == store.OfflineTOTP || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	accounts := account.New(account.Config{Lockout: cfg.Lockout, FleetHost: a.host}, account.Deps{
		Records: a.recordsNow(), Key: a.key, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now,
	})
	if err := offline.Distrust(dir); err != nil {
		return err
	}
	s, err := a.openKept(cfg, fleet, account.Kept{Accounts: func() *account.Accounts { return accounts }}, 0)
	if err != nil {
		return err
	}
	err = s.Return(ctx)
	left := s.Unmerged()
	if err = errors.Join(err, s.Close()); err != nil || left > 0 {
		a.opts.Log.Error("what was decided on this host without etcd is not merged; a restart tries it again", "users", left, "error", err)
		return nil
	}
	a.opts.Log.Info("what was kept for the time without etcd is removed", "folder", dir)
	return os.RemoveAll(dir)
}

// offlineReport says how it stands with logins while etcd is away; nil: nothing is decided
// without it.
func (a *App) offlineReport() *wire.Offline {
	if a.offline == nil {
		return nil
	}
	r := a.offline.Report()
	out := &wire.Offline{Kept: r.Kept, Old: r.Old}
	if r.Away && !r.Old && !errors.Is(r.Why, store.ErrForgot) { // else nothing is decided here either
		out.Since, out.Until = &r.Since, &r.Until
	}
	return out
}
