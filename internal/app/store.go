package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/local"
)

// A backend is the store that the configuration chose.
type backend interface {
	account.Retagger
	// Check returns why it cannot be read or written, or nil.
	Check(ctx context.Context) error
	Close() error
}

// openStore opens the store with its key.
func (a *App) openStore(cfg config.Config) (err error) {
	if cfg.Store.Backend == store.BackendEtcd {
		err = a.openFleet(cfg)
	} else {
		err = a.openLocal(cfg)
	}
	if err == nil && !a.isAway() {
		err = a.readFloor(context.Background(), a.shared())
		a.records = a.recordsNow()
	}
	return err
}

// readFloor reads when s was begun anew.
func (a *App) readFloor(ctx context.Context, s store.Store) error {
	since, err := account.Floor(ctx, s)
	if err == nil {
		a.since.Store(since)
	}
	return err
}

// recordsNow returns the Records of what is known of the store now.
func (a *App) recordsNow() account.Records {
	r := a.records
	r.Since = a.since.Load()
	return r
}

// use makes the Records of a store. Host names this machine in a fleet.
func (a *App) use(s backend, host string) {
	a.store, a.host = s, host
	if a.late != nil {
		a.alone = a.late.Alone
	}
	a.records = account.Records{S: a.metrics.Store(s), Host: host, BoundTimes: a.believe, Cache: record.NewCache(), Owed: account.NewOwed(a.accounts)}
}

// openFleet opens the store that all hosts of a fleet share.
func (a *App) openFleet(cfg config.Config) error {
	host, err := a.hostInFleet()
	if err != nil {
		return err
	}
	a.late = &etcd.Late{}
	a.use(a.late, host)
	s, err := etcd.Open(context.Background(), cfg.Store.Etcd, a.fleetOptions(cfg, func(known string) (*seal.Key, error) {
		key, err := disk.OpenFleetKey(cfg, known)
		a.key = key
		return key, err
	}))
	if err == nil {
		if err = a.joinWithRecords(context.Background(), cfg, s); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if errors.Is(err, store.ErrUnreachable) {
		if err := a.goWithout(cfg, err); err != nil {
			return err
		}
		return a.openOffline(cfg)
	}
	if err != nil {
		return err
	}
	a.late.Come(s)
	a.noteJoined(cfg)
	if err := a.forgetOffline(context.Background(), cfg, s); err != nil {
		return err
	}
	return a.openOffline(cfg)
}

// noteJoined notes on this host that it is in the fleet.
func (a *App) noteJoined(cfg config.Config) {
	if err := disk.NoteJoined(cfg, a.opts.Now()); err != nil {
		a.opts.Log.Error("should etcd lose its data, this host will take it for a new fleet", "error", err)
	}
}

// fleetOptions returns how a fleet's store is opened.
func (a *App) fleetOptions(cfg config.Config, key func(known string) (*seal.Key, error)) etcd.Options {
	here := etcd.Host{ID: a.host, Name: deliver.HostName(), Version: mfa.Version}
	mayBegin := func() error { return disk.MayBegin(cfg) }
	return etcd.Options{Log: a.opts.Log, Now: a.opts.Now, Follow: &a.follow, Key: key, MayBegin: mayBegin, Host: here}
}

// openLocal opens the store of this host, and begins it anew if an administrator ran
// mfad --new-state.
func (a *App) openLocal(cfg config.Config) error {
	ctx := context.Background()
	if err := disk.MayGoAlone(cfg); err != nil {
		return err
	}
	var keyErr error
	s, err := local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		a.key, keyErr = disk.OpenKey(cfg, known, a.opts.Log)
		return a.key, keyErr
	})
	if err = cmp.Or(keyErr, err); err != nil { // of a key the message says all
		return err
	}
	a.use(s, "")
	if err := store.CheckFormat(ctx, s); err != nil {
		return fmt.Errorf("open store %q: %w", cfg.Store.Path, err)
	}
	if err = account.NoteKey(ctx, s, a.key); err != nil {
		return err
	}
	if anew, err := s.BeginsAnew(); err != nil {
		return err
	} else if anew {
		if err := a.beginAnew(ctx, cfg, s); err != nil {
			return fmt.Errorf("begin store %q anew: %w", cfg.Store.Path, err)
		}
	}
	return a.leaveWithRecords(ctx, cfg, s)
}

// beginAnew counts all that could have been used before as used.
func (a *App) beginAnew(ctx context.Context, cfg config.Config, s *local.Store) error {
	now := a.opts.Now()
	enrolled, err := a.records.BeginAnew(ctx, now, a.opts.Log)
	if err == nil {
		err = a.records.NoteTokens(ctx, a.key, a.opts.Log)
	}
	if err == nil {
		err = disk.ForgetJoined(cfg) // before the store forgets that it begins anew
	}
	if err == nil {
		err = s.Begun()
	}
	if err != nil {
		return err
	}
	const what = "what logins spent and counted begins anew: codes up to now count as used, those of tokens until they are found again, backup codes until they are made anew; " +
		"locks, disabled methods and remembered logins are forgotten"
	a.opts.Log.Warn(what, "enrolled", enrolled)
	a.audit.Record(mfa.Event{Time: now, Event: audit.ConfigLoad, Reason: "mfad --new-state: " + what})
	return nil
}

// where says for people where a configuration has its records.
func where(cfg config.Config) string {
	if cfg.Store.Backend == store.BackendEtcd {
		return "etcd " + cfg.Store.Etcd.Prefix
	}
	return cfg.Store.Path
}

// believe bounds the times of st by the current configuration.
func (a *App) believe(st *mfa.State) {
	lengths := mfa.Lengths{Code: mfa.LongestLock, Lock: mfa.LongestLock}
	if cur := a.cur.Load(); cur != nil {
		lengths = cur.lengths
	}
	st.BoundTimes(a.opts.Now(), lengths)
}
