package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/config"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/store/local"
	"mfa/internal/wire"
)

// censusTime bounds how long a reload or a check counts.
const censusTime = 5 * time.Second

// Census says for people whom the policy of cfg lets in by the first factor alone, and
// whom it leaves without a second factor that counts. It reads the enrollments that are
// there and nothing else, and may run beside a daemon; "" if there are none to read.
func Census(cfg config.Config) string {
	ctx, cancel := context.WithTimeout(context.Background(), censusTime)
	defer cancel()
	var c wire.Census
	unread, there := 0, false
	err := eachEnrollment(cfg, func(user string, en mfa.Enrollment, err error) {
		if there = true; err != nil {
			unread++
			return
		}
		cfg.Count(ctx, &c, 0, user, en)
	})
	if err != nil {
		return fmt.Sprintf("whom it asks was not counted: %v", err)
	}
	if !there {
		return ""
	}
	text := fmt.Sprintf("at a login by ssh and password, %v; whoever has no record is %s", c, cfg.Policy.Newcomers(cfg.SMS.Provider != ""))
	if unread > 0 {
		text += fmt.Sprintf("; %d records cannot be read", unread)
	}
	return text
}

// eachEnrollment calls fn for every record in the folder of the store, with what
// keeps it from being read. It may run beside a daemon.
func eachEnrollment(cfg config.Config, fn func(user string, en mfa.Enrollment, err error)) error {
	dir := filepath.Join(cfg.Store.Path, "users")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || cfg.Store.Backend != "local" {
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

// tellOfPolicy says in the log how many users a new policy lets in by the first factor
// alone, or leaves without a second factor that counts, if it changed that, and
// returns the same for people.
func (a *App) tellOfPolicy(prev, next *instance) string {
	if reflect.DeepEqual(prev.cfg.Policy, next.cfg.Policy) && prev.login.Generation == next.login.Generation {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), censusTime)
	defer cancel()
	users, err := a.records.Users(ctx)
	if err != nil {
		a.opts.Log.Error("whom the new policy asks was not counted", "error", err)
		return ""
	}
	var before, after wire.Census
	for _, user := range users {
		en, err := a.records.Enrollment(ctx, user)
		if err != nil {
			continue // denied, whatever the policy
		}
		login.Count(ctx, &before, prev.login, nss.Groups{}, user, en)
		login.Count(ctx, &after, next.login, nss.Groups{}, user, en)
	}
	was, is := prev.newcomers(), next.newcomers()
	if before == after && was == is {
		return ""
	}
	const what = "the policy changes who gets in by the first factor alone: "
	a.opts.Log.Warn(what+after.String(),
		"alone", after.Alone, "alone_before", before.Alone, "without", after.Without, "without_before", before.Without,
		"no_record", is, "no_record_before", was)
	return what + after.String() + alone(before, after) + "; whoever has no record is " + is
}

// alone compares how many get in by the first factor alone.
func alone(before, after wire.Census) string {
	if before.Alone == after.Alone {
		return ""
	}
	return fmt.Sprintf("; it was %d before", before.Alone)
}

// newcomers says what becomes of whoever has no record.
func (s *instance) newcomers() string { return s.cfg.Policy.Newcomers(s.cfg.SMS.Provider != "") }
