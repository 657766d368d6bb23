package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// NewState has the next start begin anew what is remembered of logins, as
// local.NewState does. It returns where what there was is now; empty: nothing was.
func NewState(cfg config.Config, now time.Time) (aside string, err error) {
	return local.NewState(cfg.Store.Path, now)
}

// keyID is where the store remembers which key its hashes were made with.
const keyID = store.Meta + "key"

// openStore opens the store with the key that goes with it, and begins it anew if
// an administrator said so.
func (a *App) openStore(cfg config.Config) (err error) {
	ctx := context.Background()
	var keyErr error
	a.store, err = local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		a.key, keyErr = openKey(cfg.Secrets, known)
		return a.key, keyErr
	})
	if err = cmp.Or(keyErr, err); err != nil { // of a key the message says all
		return err
	}
	if err := store.CheckFormat(ctx, a.store); err != nil {
		return fmt.Errorf("open store %q: %w", cfg.Store.Path, err)
	}
	err = store.Update(ctx, a.store, keyID, func([]byte) ([]byte, error) { return []byte(a.key.ID()), nil })
	if err != nil {
		return err
	}
	a.records = store.Records{S: a.metrics.Store(a.store), Believe: a.believe}
	if anew, err := a.store.BeginsAnew(); err != nil {
		return err
	} else if anew {
		if err := a.beginAnew(ctx); err != nil {
			return fmt.Errorf("begin store %q anew: %w", cfg.Store.Path, err)
		}
	}
	a.records.Since, err = store.Floor(ctx, a.store)
	return err
}

// openKey reads the key that a store was written with, or makes one for a store
// that was written with none.
func openKey(cfg seal.Config, known string) (*seal.Key, error) {
	key, err := seal.Load(cfg.KeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known == "":
		return seal.Create(cfg.KeyFile)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; the store was written with key %s: restore that key file from a backup", err, known)
	case err != nil:
		return nil, err
	case known != "" && !slices.Contains(key.IDs(), known):
		return nil, fmt.Errorf("secrets.key_file %q holds key %s, but the store was written with key %s: restore that key file from a backup",
			cfg.KeyFile, key.ID(), known)
	}
	return key, nil // a former one is known if a change was cut short before the note of it
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
	err = store.Update(ctx, a.store, policyKey, func(old []byte) ([]byte, error) {
		if old != nil || generation == 0 {
			return old, nil
		}
		return json.Marshal(map[string]any{"mode": "", "generation": generation})
	})
	now := a.opts.Now()
	if err == nil {
		err = store.SetFloor(ctx, a.store, now)
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
	a.audit.Record(audit.Event{Time: now, Event: audit.ConfigLoad, Reason: "mfad --new-state: " + what})
	return nil
}

// believe bounds the times of st by what is configured now.
func (a *App) believe(st *mfa.State) {
	lengths := mfa.Lengths{Code: mfa.LongestLock, Lock: mfa.LongestLock}
	if cur := a.cur.Load(); cur != nil {
		lengths = cur.lengths
	}
	st.Believe(a.opts.Now(), lengths)
}
