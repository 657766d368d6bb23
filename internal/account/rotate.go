package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// keyID is where the store remembers which key its hashes were made with.
const keyID = store.Meta + "key"

// NoteKey stores in s the ID of the key that hashes are made with.
func NoteKey(ctx context.Context, s store.Store, key *seal.Key) error {
	return store.Update(ctx, s, keyID, func([]byte) ([]byte, error) { return []byte(key.ID()), nil })
}

// A Retagger is a Store whose records have a tag that is made with the key.
type Retagger interface {
	store.Store
	// Retag writes the tags anew that were made with a former key.
	Retag(ctx context.Context) error
}

// A KeyLife changes the key that secrets are sealed with, and forgets former keys when
// nothing needs them. It may be used from many goroutines.
type KeyLife struct {
	// Needed returns how long a former key is needed after the change; nil: as long as a
	// code made with it is good, and 15 minutes for conversations that began with it. Set
	// it before any method is called.
	Needed func() time.Duration
	// Shared says that other hosts have the key, too: an administrator brings new ones to
	// all of them, and takes former ones away. Set it before any method is called.
	Shared bool

	key      *seal.Key
	file     string // that keeps it
	store    Retagger
	accounts func() *Accounts // of the configuration that counts now
	log      *slog.Logger

	changing sync.Mutex    // held while the key or its file changes
	changed  chan struct{} // holds one value while a change waits for ForgetFormer
}

// NewKeyLife returns the KeyLife of key, which is stored in file. Accounts returns those of
// the configuration that counts now.
func NewKeyLife(key *seal.Key, file string, s Retagger, accounts func() *Accounts, log *slog.Logger) *KeyLife {
	return &KeyLife{key: key, file: file, store: s, accounts: accounts, log: log, changed: make(chan struct{}, 1)}
}

// Rotate makes a new key, stores its ID, and seals all secrets anew. A crash at any
// point leaves all readable: the file holds both keys before anything is
// made with the new one, and the former key goes only when nothing needs it. Begin and
// fn are those of Accounts.Reseal.
//
// A Shared key is not made here, or the other hosts could read nothing any more: Rotate
// seals all anew that needs a former key in the file, so that no host needs that one.
func (k *KeyLife) Rotate(ctx context.Context, begin func(total int), fn func(user string, err error)) error {
	switch {
	case !k.Shared:
		if err := k.next(ctx); err != nil {
			return err
		}
		k.note()
	case k.key.Former() == 0:
		return fmt.Errorf("%w (mfactl(1), key rotate)", errShared)
	}
	if err := k.store.Retag(ctx); err != nil {
		return err
	}
	return k.accounts().Reseal(ctx, begin, fn)
}

// errShared says what to do before a key of a fleet is changed.
var errShared = errors.New("the key is the fleet's, and secrets.key_file holds one alone: first put the new key as its second line on every host " +
	"and restart mfad there, then put it first on every host and restart; then run this again, and last take the former key away")

// note tells ForgetFormer that there is work.
func (k *KeyLife) note() {
	select {
	case k.changed <- struct{}{}:
	default: // it is told already
	}
}

// next makes a new key.
func (k *KeyLife) next(ctx context.Context) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	if err := k.key.Rotate(k.file); err != nil {
		return err
	}
	k.log.Info("new key", "key", k.key.ID(), "former", k.key.IDs()[1])
	return NoteKey(ctx, k.store, k.key)
}

// Run forgets former keys when they are needed no more, after each change of
// the key and after a start that finds some. It returns when ctx ends.
func (k *KeyLife) Run(ctx context.Context) {
	if k.key.Former() > 0 && !k.Shared {
		k.note()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		}
		wait := time.NewTimer(k.Left())
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := k.ForgetFormer(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("former key is kept: not all secrets could be sealed anew; mend the records and change the key again", "error", err)
		}
	}
}

// Left returns how much longer the former keys are needed. It counts from the
// modification time of the key file, so a restart does not begin the time anew.
func (k *KeyLife) Left() time.Duration {
	kept := k.accounts().cfg.longestCode() + 15*time.Minute
	if k.Needed != nil {
		kept = k.Needed()
	}
	info, err := os.Stat(k.file)
	if err != nil {
		return kept
	}
	return min(kept, time.Until(info.ModTime().Add(kept)))
}

// ForgetFormer seals anew what still needs a former key, and forgets the former keys. It
// forgets none if a secret could not be sealed, or if the key changed meanwhile.
func (k *KeyLife) ForgetFormer(ctx context.Context) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	err := k.accounts().Reseal(ctx, func(int) {}, func(string, error) {})
	if err != nil || len(k.changed) > 0 { // a newer change waits for its time
		return err
	}
	if err := k.store.Retag(ctx); err != nil {
		return err
	}
	return k.key.Forget(k.file)
}
