package app

import (
	"cmp"
	"context"
	"fmt"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// openStore opens the store with its key, and begins it anew if an administrator ran
// mfad --new-state.
func (a *App) openStore(cfg config.Config) (err error) {
	ctx := context.Background()
	var keyErr error
	a.store, err = local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		a.key, keyErr = disk.OpenKey(cfg, known, a.opts.Log)
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

// beginAnew counts all that could have been used before as used.
func (a *App) beginAnew(ctx context.Context) error {
	now := a.opts.Now()
	enrolled, err := a.records.BeginAnew(ctx, now, a.opts.Log)
	if err == nil {
		err = a.store.Begun()
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

// believe bounds the times of st by the current configuration.
func (a *App) believe(st *mfa.State) {
	lengths := mfa.Lengths{Code: mfa.LongestLock, Lock: mfa.LongestLock}
	if cur := a.cur.Load(); cur != nil {
		lengths = cur.lengths
	}
	st.Believe(a.opts.Now(), lengths)
}
