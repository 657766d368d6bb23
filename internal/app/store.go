package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// NewState has the next start begin anew what is remembered of logins, as
// local.NewState does, and with newKey makes the key that is lost. It returns where
// what there was is now; empty: nothing was.
func NewState(cfg config.Config, newKey bool, now time.Time) (aside string, err error) {
	aside, err = local.NewState(cfg.Store.Path, now)
	if err != nil || !newKey {
		return aside, err
	}
	if _, err := seal.Create(cfg.Secrets.KeyFile); err != nil {
		return aside, err
	}
	if os.Geteuid() == 0 {
		err = os.Chown(cfg.Secrets.KeyFile, daemonOf(cfg.Store), -1)
	}
	return aside, err
}

// LostKey says whether the key file is gone, and which users have an app that only
// this key could check. A key that only the service sees is not looked at.
func LostKey(cfg config.Config) (lost bool, apps []string, err error) {
	if slices.Contains(cfg.Credentials(), "secrets.key_file") || !local.Enrolled(cfg.Store.Path) {
		return false, nil, nil // where nobody is enrolled the next start makes one
	}
	if _, err := os.Lstat(cfg.Secrets.KeyFile); !errors.Is(err, fs.ErrNotExist) {
		return false, nil, err
	}
	err = eachEnrollment(cfg, func(user string, en mfa.Enrollment, err error) {
		if err == nil && en.TOTP != nil {
			apps = append(apps, user)
		}
	})
	return true, apps, err
}

// openStore opens the store with its key, and begins it anew if an administrator ran
// mfad --new-state.
func (a *App) openStore(cfg config.Config) (err error) {
	ctx := context.Background()
	var keyErr error
	a.store, err = local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		a.key, keyErr = openKey(cfg, known, a.opts.Log)
		return a.key, keyErr
	})
	if err = cmp.Or(keyErr, err); err != nil { // of a key the message says all
		return err
	}
	if err := store.CheckFormat(ctx, a.store); err != nil {
		return fmt.Errorf("open store %q: %w", cfg.Store.Path, err)
	}
	if err = account.NoteKey(ctx, a.store, a.key); err != nil {
		return err
	}
	a.records = account.Records{S: a.metrics.Store(a.store), Believe: a.believe, Parsed: record.NewParsed()}
	if anew, err := a.store.BeginsAnew(); err != nil {
		return err
	} else if anew {
		if err := a.beginAnew(ctx); err != nil {
			return fmt.Errorf("begin store %q anew: %w", cfg.Store.Path, err)
		}
	}
	a.records.Since, err = account.Floor(ctx, a.store)
	return err
}

// openKey reads the key that a store was written with, or makes one for a store
// that was written with none. Where somebody is enrolled none is made: what is sealed
// in the enrollments would be lost without a word. A key that is there before its
// store is told of.
func openKey(cfg config.Config, known string, log *slog.Logger) (*seal.Key, error) {
	key, err := seal.LoadFor(cfg.Secrets.KeyFile, os.Geteuid(), known)
	switch {
	case known != "" || local.Enrolled(cfg.Store.Path) && err == nil:
		return key, err
	case err == nil:
		log.Warn("a new store begins with a key that was there before: nobody is enrolled. "+
			"If somebody was, the disk of the store may not be mounted: stop mfad and mount it",
			"store", cfg.Store.Path, "key", cfg.Secrets.KeyFile)
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case local.Enrolled(cfg.Store.Path):
		return nil, noKey(err)
	}
	return seal.Create(cfg.Secrets.KeyFile)
}

// noKey says what to do where somebody is enrolled and there is no key.
func noKey(err error) error {
	return fmt.Errorf("%w; there are enrollments, and what is secret in them is sealed with it: "+
		"restore that key file from a backup; where there is none, run mfad --new-state", err)
}

// beginAnew counts all that could have been used before as used. What a policy that
// was off made void stays so, as far as the enrollments tell.
func (a *App) beginAnew(ctx context.Context) error {
	users, err := a.records.Users(ctx)
	if err != nil {
		return err
	}
	generation := 0
	for _, user := range users {
		en, err := a.records.Enrollment(ctx, user)
		if err != nil {
			a.opts.Log.Error("record cannot be read", "user", user, "error", err)
			continue
		}
		generation = max(generation, en.Generation)
	}
	err = account.NoteGeneration(ctx, a.store, generation)
	now := a.opts.Now()
	if err == nil {
		err = account.SetFloor(ctx, a.store, now)
	}
	if err == nil {
		err = a.store.Begun()
	}
	if err != nil {
		return err
	}
	const what = "what logins spent and counted begins anew: codes up to now count as used, backup codes until they are made anew; " +
		"locks, disabled methods and remembered logins are forgotten"
	a.opts.Log.Warn(what, "enrolled", len(users))
	a.audit.Record(mfa.Event{Time: now, Event: audit.ConfigLoad, Reason: "mfad --new-state: " + what})
	return nil
}

// believe bounds the times of st by the current configuration.
func (a *App) believe(st *mfa.State) {
	lengths := mfa.Lengths{Code: mfa.LongestLock, Lock: mfa.LongestLock}
	if cur := a.cur.Load(); cur != nil {
		lengths = cur.lengths
	}
	st.Believe(a.opts.Now(), lengths)
}
