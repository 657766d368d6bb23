// Package disk is about what mfa.toml names on the disk of this machine, looked at by a
// program that is not the daemon: whether it can be used, and whom the policy asks. It
// also has the rule by which a store gets its key.
//
// What to know before trusting it: looking makes nothing and changes nothing, and may
// happen beside a daemon. Where somebody is enrolled no key is made but on an
// administrator's word.
package disk

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"mfa/internal/account/contacts"
	"mfa/internal/config"
	"mfa/internal/deliver"
	"mfa/internal/deliver/mail"
	"mfa/internal/deliver/sms"
	"mfa/internal/deliver/smtp"
	"mfa/internal/host/rights"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/local"
)

// CheckStore says what keeps a daemon from opening the store of cfg. As CheckFiles, root looks
// with the rights of the daemon: those of the owner of store.path. Nothing is made or opened for
// writing. Secrets that only the service can see (config.Config.Credentials) are not looked at.
func CheckStore(cfg config.Config) error {
	unseen := cfg.Credentials()
	return rights.As(rights.OwnerOf(cfg.Store.Path), func() error {
		if cfg.Store.Backend == store.BackendEtcd {
			return checkFleet(cfg, unseen)
		}
		return checkLocal(cfg, slices.Contains(unseen, "secrets.key_file"))
	})
}

// CheckFiles says what is wrong with the other files of cfg, which was read from path, and with
// path itself if the daemon cannot read it.
func CheckFiles(cfg config.Config, path string) error {
	return errors.Join(cfg.Access(path), rights.As(rights.OwnerOf(cfg.Store.Path), func() error {
		return checkCarriers(cfg, cfg.Credentials())
	}))
}

// checkCarriers says what is wrong with the files by which messages are written and sent, and
// with those of the directory.
func checkCarriers(cfg config.Config, unseen []string) error {
	hidden := func(table string) bool {
		return slices.ContainsFunc(unseen, func(key string) bool { return strings.HasPrefix(key, table) })
	}
	_, err := mail.New(cfg.Email)
	errs := []error{err}
	if !hidden("email.") {
		email, err := smtp.New(cfg.Email, smtp.Options{Host: deliver.FullName()})
		if errs = append(errs, err); err == nil {
			errs = append(errs, email.Close())
		}
	}
	if cfg.SMS.Provider != "" && !hidden("sms.") {
		texts, err := sms.New(cfg.SMS, sms.Options{})
		if errs = append(errs, err); err == nil {
			errs = append(errs, texts.Close())
		}
	}
	if !hidden("contacts.") {
		directory, err := contacts.New(cfg.Contacts, contacts.Options{Log: slog.New(slog.DiscardHandler)})
		if errs = append(errs, err); directory != nil {
			directory.Close()
		}
	}
	return errors.Join(errs...)
}

// checkLocal says what keeps a daemon from opening its store on this host; with keyHidden as far as
// that can be told without the key.
func checkLocal(cfg config.Config, keyHidden bool) error {
	if err := local.MovedAway(cfg.Store.Path); err != nil {
		return err
	}
	if err := MayGoAlone(cfg); err != nil {
		return err
	}
	if keyHidden {
		return local.CheckState(cfg.Store.Path)
	}
	uid := rights.OwnerOf(cfg.Store.Path)
	err := seal.Check(cfg.Secrets.KeyFile, uid)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil && local.Enrolled(cfg.Store.Path):
		return errors.Join(noKey(err), local.CheckState(cfg.Store.Path))
	case err != nil:
		return nil // a first start makes it
	}
	return local.Verify(cfg.Store.Path, func(known string) (*seal.Key, error) { return seal.LoadFor(cfg.Secrets.KeyFile, uid, known) })
}

// checkFleet says what keeps a daemon from opening its store in etcd. It asks etcd, if
// all that this needs can be seen.
func checkFleet(cfg config.Config, unseen []string) error {
	if slices.ContainsFunc(unseen, func(key string) bool { return strings.HasPrefix(key, "store.etcd.") }) {
		return nil
	}
	uid := rights.OwnerOf(cfg.Store.Path)
	if err := checkOffline(cfg, uid, slices.Contains(unseen, "secrets.key_file")); err != nil {
		return err
	}
	key := func(known string) (*seal.Key, error) {
		if slices.Contains(unseen, "secrets.key_file") {
			return nil, nil
		}
		return keyOfFleet(cfg, uid, known, false)
	}
	opts := etcd.Options{Key: key, MayBegin: func() error { return MayBegin(cfg) }}
	if err := etcd.Look(context.Background(), cfg.Store.Etcd, opts); err != nil {
		return err
	}
	return etcd.ReadOnly(context.Background(), cfg.Store.Etcd, opts, func(s store.Store) error {
		return MayJoin(context.Background(), cfg, s)
	})
}

// checkOffline says what keeps a daemon from opening what is kept for the time without etcd.
func checkOffline(cfg config.Config, uid int, keyHidden bool) error {
	dir := cfg.Store.OfflineFolder()
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil // a start makes it, if it is wanted
	}
	if keyHidden {
		return local.CheckState(dir)
	}
	return local.Verify(dir, func(known string) (*seal.Key, error) { return seal.LoadFor(cfg.Secrets.KeyFile, uid, known) })
}
