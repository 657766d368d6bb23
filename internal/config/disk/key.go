package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"mfa/internal/config"
	"mfa/internal/host/rights"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/local"
)

// OpenKey reads the key that a store was written with, or makes one for a store
// that was written with none. Where somebody is enrolled none is made: what is sealed
// in the enrollments would be lost without a word. A key that is there before its
// store is told of.
func OpenKey(cfg config.Config, known string, log *slog.Logger) (*seal.Key, error) {
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

// OpenFleetKey reads the key that a fleet has, or makes one for a fleet that has none yet:
// known is empty then.
func OpenFleetKey(cfg config.Config, known string) (*seal.Key, error) {
	return keyOfFleet(cfg, os.Geteuid(), known, true)
}

// FleetKey reads the key of this host, while it is not known which one the fleet has; nil if
// there is none.
func FleetKey(cfg config.Config) (*seal.Key, error) { return keyOfFleet(cfg, os.Geteuid(), "", false) }

// keyOfFleet is OpenFleetKey for a daemon with that uid; unless mayMake none is made, and nil
// is returned in its place.
func keyOfFleet(cfg config.Config, uid int, known string, mayMake bool) (*seal.Key, error) {
	key, err := seal.LoadFor(cfg.Secrets.KeyFile, uid, "")
	switch {
	case err == nil && known != "" && !slices.Contains(key.IDs(), known) && local.Enrolled(cfg.Store.Path):
		return nil, fmt.Errorf("secrets.key_file %q: what is secret in the enrollments of this host is sealed with key %s, and the fleet has key %s: set store.backend = \"local\" again, "+
			"put the line of the fleet's key before the one that is there, restart mfad, and run mfactl migrate --to etcd", cfg.Secrets.KeyFile, key.ID(), known)
	case err == nil && known != "" && !slices.Contains(key.IDs(), known):
		return nil, fmt.Errorf("secrets.key_file %q: %w", cfg.Secrets.KeyFile, etcd.WrongKey(known, key.ID()))
	case errors.Is(err, fs.ErrNotExist) && known != "":
		return nil, fmt.Errorf("%w; the fleet has key %s: copy secrets.key_file from another host of the fleet", err, known)
	case errors.Is(err, fs.ErrNotExist) && mayMake:
		return seal.Create(cfg.Secrets.KeyFile)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	}
	return key, err
}

// noKey says what to do where somebody is enrolled and there is no key.
func noKey(err error) error {
	return fmt.Errorf("%w; there are enrollments, and what is secret in them is sealed with it: "+
		"restore that key file from a backup; where there is none, run mfad --new-state", err)
}

// NewState has the next start begin anew what is remembered of logins, as
// local.NewState does, and with newKey makes the key that is lost. It returns where
// what there was is now; empty: nothing was.
func NewState(cfg config.Config, newKey bool, now time.Time) (aside string, err error) {
	if cfg.Store.Backend != store.BackendLocal {
		return "", errors.New(`store.backend is "etcd": what logins spent and counted is the fleet's, and no host alone can begin it anew`)
	}
	aside, err = local.NewState(cfg.Store.Path, now)
	if err != nil || !newKey {
		return aside, err
	}
	if _, err := seal.Create(cfg.Secrets.KeyFile); err != nil {
		return aside, err
	}
	if os.Geteuid() == 0 {
		err = os.Chown(cfg.Secrets.KeyFile, rights.OwnerOf(cfg.Store.Path), -1)
	}
	return aside, err
}

// LostKey says whether the key file is gone, and which users have an app or a token that only
// this key could check. A key that only the service sees is not looked at.
func LostKey(cfg config.Config) (lost bool, apps []string, err error) {
	if slices.Contains(cfg.Credentials(), "secrets.key_file") || cfg.Store.Backend != store.BackendLocal || !local.Enrolled(cfg.Store.Path) {
		return false, nil, nil // where nobody is enrolled the next start makes one
	}
	if _, err := os.Lstat(cfg.Secrets.KeyFile); !errors.Is(err, fs.ErrNotExist) {
		return false, nil, err
	}
	err = eachEnrollment(context.Background(), cfg, func(user string, en mfa.Enrollment, err error) {
		if err == nil && (en.TOTP != nil || en.HOTP != nil) {
			apps = append(apps, user)
		}
	})
	return true, apps, err
}
