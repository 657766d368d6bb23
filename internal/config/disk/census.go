package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/config"
	"mfa/internal/host/rights"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/local"
	"mfa/internal/wire"
)

// Census says for people whom the policy of cfg lets in by the first factor alone, and
// whom it leaves without a second factor that counts. It reads the enrollments that are
// there and nothing else, and may run beside a daemon; "" if there are none to read.
func Census(cfg config.Config) string {
	ctx, cancel := context.WithTimeout(context.Background(), login.CensusTime)
	defer cancel()
	var c wire.Census
	unread, there := 0, false
	err := rights.As(rights.OwnerOf(cfg.Store.Path), func() error {
		return eachEnrollment(ctx, cfg, func(user string, en mfa.Enrollment, err error) {
			if there = true; err != nil {
				unread++
				return
			}
			cfg.Count(ctx, &c, 0, user, en)
		})
	})
	if err != nil {
		return fmt.Sprintf("the users it asks were not counted: %v", err)
	}
	if !there {
		return ""
	}
	text := fmt.Sprintf("at a login by ssh and password, %v; whoever has no record is %s", c, cfg.Policy.NewcomersBut(cfg.SMS.Provider != "", cfg.Contacts))
	if unread > 0 {
		text += fmt.Sprintf("; mfad cannot read %d records and refuses their users: mfactl doctor names them", unread)
	}
	return text
}

// eachEnrollment calls fn for every record of the store, with what keeps it from being
// read. It may run beside a daemon. In a fleet it asks etcd, if all that this needs can be
// seen.
func eachEnrollment(ctx context.Context, cfg config.Config, fn func(user string, en mfa.Enrollment, err error)) error {
	if cfg.Store.Backend == store.BackendEtcd {
		return eachOfFleet(ctx, cfg, fn)
	}
	dir := filepath.Join(cfg.Store.Path, "users")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		user, ok := local.Owner(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		var en mfa.Enrollment
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err == nil {
			en, err = record.DecodeEnrollment(entry.Name(), data)
		}
		fn(user, en, err)
	}
	return err
}

// eachOfFleet is eachEnrollment for a fleet.
func eachOfFleet(ctx context.Context, cfg config.Config, fn func(user string, en mfa.Enrollment, err error)) error {
	unseen := cfg.Credentials()
	if slices.ContainsFunc(unseen, func(key string) bool { return key == "secrets.key_file" || strings.HasPrefix(key, "store.etcd.") }) {
		return nil
	}
	key := func(known string) (*seal.Key, error) {
		return keyOfFleet(cfg, rights.OwnerOf(cfg.Store.Path), known, false)
	}
	return etcd.ReadOnly(ctx, cfg.Store.Etcd, etcd.Options{Key: key}, func(s store.Store) error {
		return account.Records{S: s}.EachEnrollment(ctx, func(user string, en mfa.Enrollment, err error) error {
			fn(user, en, err)
			return nil
		})
	})
}
