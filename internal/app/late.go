package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
)

// A daemon that starts while etcd is away serves those whom the rules alone let in, as the
// break-glass account, refuses all others, and joins its fleet when etcd is back.

// isAway says whether the store has not come yet.
func (a *App) isAway() bool { return a.late != nil && a.late.Here() == nil }

// goWithout starts without the store, because of err, if this host has a key.
func (a *App) goWithout(cfg config.Config, err error) error {
	key, keyErr := disk.FleetKey(cfg)
	if keyErr != nil || key == nil {
		return errors.Join(err, keyErr)
	}
	a.key = key
	others := ""
	if cfg.Store.Etcd.Offline == store.OfflineTOTP {
		others = ", and users of this host by app or backup code (store.etcd.offline)"
	}
	a.opts.Log.Error("this daemon starts without its store: until etcd can be reached, only those are let in whom the rules of mfa.toml let in"+others, "error", err)
	return nil
}

// joinAgain is how long join waits after it could not join for another reason than that
// etcd is away.
const joinAgain = 10 * time.Second

// join waits until the store is there, and has it decide from then on. It returns when that
// is done, or ctx ends.
func (a *App) join(ctx context.Context) {
	for a.isAway() {
		err := a.joinOnce(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		a.opts.Log.Error("etcd is there, but this host cannot join its fleet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(joinAgain):
		}
	}
}

func (a *App) joinOnce(ctx context.Context) (err error) {
	cfg := a.cur.Load().cfg
	s, err := etcd.Await(ctx, cfg.Store.Etcd, a.fleetOptions(cfg, func(known string) (*seal.Key, error) {
		if known != "" && !slices.Contains(a.key.IDs(), known) {
			return nil, fmt.Errorf("secrets.key_file %q: %w", cfg.Secrets.KeyFile, etcd.WrongKey(known, a.key.ID()))
		}
		return a.key, nil
	}))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	a.reload.Lock()
	defer a.reload.Unlock()
	if err := a.joinWithRecords(ctx, cfg, s); err != nil {
		return err
	}
	if err := a.readFloor(ctx, s); err != nil {
		return err
	}
	if err := a.forgetOffline(ctx, cfg, s); err != nil {
		return err
	}
	next, err := a.build(a.cur.Load().cfg, s)
	if err != nil {
		return err
	}
	next.waiting = a.cur.Load().waiting
	a.take(next)
	a.noteJoined(cfg)
	a.late.Come(s) // now that what it says of the past counts
	a.comeBack(ctx)
	a.opts.Log.Info("joined the fleet")
	return nil
}
