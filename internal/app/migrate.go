package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/login"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/local"
)

// A host joins a fleet, or leaves it, in two steps. The first, mfactl migrate, copies the
// records while logins go on, and marks the store of this host. The second is the next
// start with the other store.backend: it copies what changed since, before anything is
// decided by it.

// migrate is the first step, to one of the words of store.backend. Which store the other
// one is stands in the configuration as it is on the disk now. Begin and fn are those of
// account.Move.
func (a *App) migrate(ctx context.Context, to string, begin func(total int), fn func(account.Migrated)) error {
	if !a.moving.TryLock() {
		return errors.New("the records are being copied already")
	}
	defer a.moving.Unlock()
	if a.opts.Load == nil {
		return errors.New("this daemon has no configuration that it could read again")
	}
	cfg, err := a.opts.Load()
	if err != nil {
		return err
	}
	switch {
	case to == store.BackendEtcd && a.host == "":
		return a.copyToFleet(ctx, cfg, begin, fn)
	case to == store.BackendLocal && a.host != "":
		return a.copyToHost(ctx, cfg, begin, fn)
	}
	return fmt.Errorf("the records of this host are in %s already", where(a.cur.Load().cfg))
}

// fleetOf says for people where in etcd a configuration has its records.
func fleetOf(cfg config.Config) string { return "etcd " + cfg.Store.Etcd.Prefix }

// copyToFleet copies the records of this host into etcd.
func (a *App) copyToFleet(ctx context.Context, cfg config.Config, begin func(total int), fn func(account.Migrated)) error {
	if len(cfg.Store.Etcd.Endpoints) == 0 {
		return errors.New("mfa.toml does not say where etcd is: fill the table [store.etcd], and leave store.backend as it is")
	}
	host, err := a.hostInFleet()
	if err != nil {
		return err
	}
	fleet, err := etcd.Open(ctx, cfg.Store.Etcd, etcd.Options{Log: a.opts.Log, Now: time.Now, Key: a.keyToJoin})
	if err != nil {
		return err
	}
	defer func() { _ = fleet.Close() }()
	s, is := a.store.(*local.Store)
	if !is {
		return errors.New("the records of this host are not in a store of its own")
	}
	mark, err := a.markMove(s, cfg)
	if err != nil {
		return err
	}
	a.opts.Log.Info("records are copied to etcd", "fleet", fleetOf(cfg))
	m, err := a.moveTo(ctx, cfg, a.recordsNow(), fleet, host, s, mark.ID)
	if err != nil {
		return err
	}
	return m.Run(ctx, begin, fn)
}

// keyToJoin returns the key of this host, if the fleet has it as its newest, too: what
// this host writes into etcd all others must be able to read.
func (a *App) keyToJoin(known string) (*seal.Key, error) {
	if known == "" || known == a.key.ID() {
		return a.key, nil
	}
	return nil, fmt.Errorf("%w: put the line of the fleet's secrets.key_file before that of this host, in one file; restart mfad, and run this again", etcd.WrongKey(known, a.key.ID()))
}

// markMove returns the Mark of a move to etcd, which is noted in s.
func (a *App) markMove(s *local.Store, cfg config.Config) (local.Mark, error) {
	was, err := local.Moved(cfg.Store.Path)
	if err != nil {
		return local.Mark{}, err
	}
	if was != nil && was.To == store.BackendEtcd && was.Done.IsZero() && was.Fleet == fleetOf(cfg) {
		return *was, nil
	}
	m := local.Mark{To: store.BackendEtcd, Fleet: fleetOf(cfg), ID: rand.Text(), Began: a.opts.Now().UTC()}
	return m, s.Mark(m)
}

// moveTo returns the Move from the store of this host, which holds the notes, into fleet.
func (a *App) moveTo(ctx context.Context, cfg config.Config, from account.Records, fleet store.Store, host string, notes store.Store, id string) (*account.Move, error) {
	since, err := account.Floor(ctx, fleet)
	if err != nil {
		return nil, err
	}
	m := &account.Move{
		From: from, To: account.Records{S: fleet, Host: host, Since: since}, Notes: notes, ID: id, Key: a.key, Lockout: cfg.Lockout, Now: a.opts.Now,
	}
	if cfg.Session.Scope == login.ScopeHost {
		m.SessionHost = host
	}
	return m, nil
}

// copyToHost copies what the fleet has into the store of this host.
func (a *App) copyToHost(ctx context.Context, cfg config.Config, begin func(total int), fn func(account.Migrated)) error {
	was, err := local.Moved(cfg.Store.Path)
	if err != nil {
		return err
	}
	if was == nil && local.Enrolled(cfg.Store.Path) {
		return fmt.Errorf("in %q are enrollments that never moved to a fleet, and all of them would be replaced: move the folder aside first", cfg.Store.Path)
	}
	s, err := local.Open(cfg.Store.Path, a.keyOfHost)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := store.CheckFormat(ctx, s); err != nil {
		return err
	}
	if err := account.NoteKey(ctx, s, a.key); err != nil {
		return err
	}
	if was == nil || was.To != store.BackendLocal {
		if err := s.Mark(local.Mark{To: store.BackendLocal, Fleet: fleetOf(cfg), ID: rand.Text(), Began: a.opts.Now().UTC()}); err != nil {
			return err
		}
	}
	a.opts.Log.Info("records are copied from etcd", "store", cfg.Store.Path)
	m, err := a.moveFrom(ctx, a.recordsNow(), s)
	if err != nil {
		return err
	}
	return m.Run(ctx, begin, fn)
}

// keyOfHost returns the key of the fleet for the store of this host, whose records have
// the key known.
func (a *App) keyOfHost(known string) (*seal.Key, error) {
	if known != "" && !slices.Contains(a.key.IDs(), known) {
		return nil, fmt.Errorf("the store of this host has key %s, which is not in secrets.key_file", known)
	}
	return a.key, nil
}

// moveFrom returns the Move from a fleet into the store s of this host.
func (a *App) moveFrom(ctx context.Context, fleet account.Records, s store.Store) (*account.Move, error) {
	since, err := account.Floor(ctx, s)
	return &account.Move{From: fleet, To: account.Records{S: s, Since: since}, Key: a.key, Now: a.opts.Now}, err
}

// joinWithRecords is the second step of a move to etcd: it copies into fleet what changed
// on this host since the first, if there was one; without one it refuses a host that has
// enrollments of its own (disk.MayJoin). An error that wraps store.ErrUnreachable means that
// it is to be called again.
func (a *App) joinWithRecords(ctx context.Context, cfg config.Config, fleet store.Store) (err error) {
	if err := disk.MayJoin(ctx, cfg, fleet); err != nil {
		return err
	}
	mark, err := local.Moved(cfg.Store.Path)
	if err != nil || mark == nil || mark.To != store.BackendEtcd || !mark.Done.IsZero() {
		return err
	}
	s, err := local.Open(cfg.Store.Path, a.keyOfHost)
	if err != nil {
		return fmt.Errorf("the records of this host are on their way to etcd, and cannot be read: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if mark.Fleet != fleetOf(cfg) { // what is noted is of another one
		mark.Fleet, mark.ID = fleetOf(cfg), rand.Text()
		if err := s.Mark(*mark); err != nil {
			return err
		}
	}
	since, err := account.Floor(ctx, s)
	if err != nil {
		return err
	}
	m, err := a.moveTo(ctx, cfg, account.Records{S: s, Since: since}, fleet, a.host, s, mark.ID)
	if err != nil {
		return err
	}
	if err := a.finish(ctx, m); err != nil {
		return fmt.Errorf("move the records of this host to etcd: %w", err)
	}
	if err := s.Retag(ctx); err != nil { // the key of this host alone is about to be taken out of the file
		return err
	}
	mark.Done = a.opts.Now().UTC()
	if err := s.Mark(*mark); err != nil {
		return err
	}
	return m.Forget(ctx)
}

// leaveWithRecords is the second step of a move from etcd to s, the store of this host. It
// refuses a store whose records are in etcd.
func (a *App) leaveWithRecords(ctx context.Context, cfg config.Config, s *local.Store) error {
	mark, err := local.Moved(cfg.Store.Path)
	if err != nil || mark == nil || mark.To == store.BackendEtcd && mark.Done.IsZero() {
		return err
	}
	if err := mark.Problem(); err != nil {
		return err
	}
	host, err := a.hostInFleet()
	if err != nil {
		return err
	}
	fleet, err := etcd.Open(ctx, cfg.Store.Etcd, etcd.Options{Log: a.opts.Log, Now: time.Now, Key: a.keyOfHost})
	if err != nil {
		return fmt.Errorf("the records of this host come back from %s at this start: %w; if etcd is lost for good: mfad --new-state", mark.Fleet, err)
	}
	defer func() { _ = fleet.Close() }()
	if err := a.endOffline(ctx, cfg, host, fleet); err != nil {
		return err
	}
	since, err := account.Floor(ctx, fleet)
	if err != nil {
		return err
	}
	m, err := a.moveFrom(ctx, account.Records{S: fleet, Host: host, Since: since}, s)
	if err == nil {
		err = a.finish(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("bring the records of this host back from etcd: %w", err)
	}
	if err := disk.ForgetJoined(cfg); err != nil { // before nothing says any more that they are back
		return err
	}
	return s.Unmark()
}

// endOffline merges into fleet what was decided on this host without it, so that this is
// among what comes back.
func (a *App) endOffline(ctx context.Context, cfg config.Config, host string, fleet store.Cacher) error {
	a.host = host
	defer func() { a.host = "" }()
	cfg.Store.Etcd.Offline = store.OfflineDeny
	if err := a.forgetOffline(ctx, cfg, fleet); err != nil {
		return err
	}
	if _, err := os.Lstat(cfg.Store.OfflineFolder()); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, errors.New("what was decided on this host without etcd is not merged yet: start it with store.backend = \"etcd\" once more"))
	}
	return nil
}

// finish runs m and tells the log what became of it. A record of the fleet that cannot be
// read keeps its user out, and nobody else.
func (a *App) finish(ctx context.Context, m *account.Move) error {
	count, unreadable, other := map[string]int{}, 0, 0
	err := m.Run(ctx, func(int) {}, func(u account.Migrated) {
		switch {
		case errors.Is(u.Problem, store.ErrUnreadable):
			unreadable++
		case u.Problem != nil:
			other++
		}
		count[u.Result]++
		switch {
		case u.Problem != nil:
			a.opts.Log.Error("records were not copied", "user", u.User, "error", u.Problem)
		case u.Result == account.MovedKept:
			a.opts.Log.Warn("the fleet has another enrollment, which counts", "user", u.User)
		case u.Result == account.MovedLocked:
			a.opts.Log.Error("kept out: a record could not be read, or the token is another user's; see mfactl show, then mfactl unlock, or mfactl reset", "user", u.User)
		}
	})
	if err != nil && (other > 0 || unreadable == 0) {
		return err
	}
	a.opts.Log.Warn("records moved", "copied", count[account.MovedCopied], "same", count[account.MovedSame],
		"kept", count[account.MovedKept], "removed", count[account.MovedRemoved], "locked", count[account.MovedLocked])
	return nil
}

// hostInFleet names this machine among a fleet.
func (a *App) hostInFleet() (string, error) {
	if a.opts.hostID != "" {
		return a.opts.hostID, nil
	}
	return etcd.HostID()
}

// rotateKey is KeyLife.Rotate, unless records are on their way to a fleet: it could not
// read them with a key that only this host has.
func (a *App) rotateKey(ctx context.Context, begin func(total int), fn func(user string, err error)) error {
	mark, err := local.Moved(a.cur.Load().cfg.Store.Path)
	if err != nil {
		return err
	}
	if a.host == "" && mark != nil {
		return fmt.Errorf("the records of this host are on their way to %s, which has this key: finish that first, or give it up and remove the file \"moved\" in the folder of the store", mark.Fleet)
	}
	return a.keyLife.Rotate(ctx, begin, fn)
}

// movingTo says for people that a move was begun and is not finished; "" if none is.
func (a *App) movingTo() string {
	mark, err := local.Moved(a.cur.Load().cfg.Store.Path)
	switch {
	case err != nil:
		return err.Error()
	case mark == nil || !mark.Done.IsZero() || mark.To == store.BackendEtcd && a.host != "":
		return ""
	case mark.To == store.BackendEtcd:
		return fmt.Sprintf("to %s, begun %s: set store.backend = \"etcd\" and restart mfad", mark.Fleet, mark.Began.Format(time.DateTime))
	}
	return fmt.Sprintf("from %s to this host, begun %s: set store.backend = \"local\" and restart mfad", mark.Fleet, mark.Began.Format(time.DateTime))
}
