package account

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// keyID is where the store remembers which key its hashes were made with.
const keyID = store.Meta + "key"

// NoteKey notes in s which key its hashes are made with.
func NoteKey(ctx context.Context, s store.Store, key *seal.Key) error {
	return store.Update(ctx, s, keyID, func([]byte) ([]byte, error) { return []byte(key.ID()), nil })
}

// A Retagger is a Store whose records bear a tag that is made with the key.
type Retagger interface {
	store.Store
	// Retag writes the tags anew that were made with a former key.
	Retag(ctx context.Context) error
}

// A KeyLife is the life of the key that secrets are sealed with: its changes, and the
// end of former keys. It may be used from many goroutines.
type KeyLife struct {
	// Needed returns how long a former key is needed after the change. It is nil for as
	// long as a code that was sent with it is good, and a conversation lasts that began
	// with it. It is set before anything is called.
	Needed func() time.Duration

	key      *seal.Key
	file     string // that keeps it
	store    Retagger
	accounts func() *Accounts // of the configuration that counts now
	log      *slog.Logger

	changing sync.Mutex    // held while the key or its file changes
	changed  chan struct{} // has room for one word that it did
}

// NewKeyLife returns the life of key, which file keeps.
func NewKeyLife(key *seal.Key, file string, s Retagger, accounts func() *Accounts, log *slog.Logger) *KeyLife {
	return &KeyLife{key: key, file: file, store: s, accounts: accounts, log: log, changed: make(chan struct{}, 1)}
}

// Rotate makes a new key, notes it, and seals all secrets anew. A crash at any
// point leaves all readable: the file with both keys is there before anything is
// made with the new one, and the former key goes only when nothing needs it. Begin and
// fn are those of Accounts.Reseal.
func (k *KeyLife) Rotate(ctx context.Context, begin func(total int), fn func(user string, err error)) error {
	if err := k.next(ctx); err != nil {
		return err
	}
	k.note()
	if err := k.store.Retag(ctx); err != nil {
		return err
	}
	return k.accounts().Reseal(ctx, begin, fn)
}

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

// Run forgets former keys when they are needed no more, after a change of
// the key and after a start that finds some. It ends with ctx.
func (k *KeyLife) Run(ctx context.Context) {
	if k.key.Former() > 0 {
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

// Left returns how long the former keys are needed yet, from the change of
// the file on: a daemon that is started anew every night forgets them too.
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

// ForgetFormer seals what still needs a former key, and forgets those.
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
