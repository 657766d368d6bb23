package app

import (
	"context"
	"os"
	"time"

	"mfa/internal/challenge"
	"mfa/internal/store"
)

// rotateKey makes a new key, notes it, and seals all secrets anew. A crash at any
// point leaves all readable: the file with both keys is there before anything is
// made with the new one, and the former key goes only when nothing needs it.
func (a *App) rotateKey(ctx context.Context, begin func(total int), fn func(user string, err error)) error {
	if err := a.newKey(ctx); err != nil {
		return err
	}
	a.noteRotated()
	if err := a.store.Retag(ctx); err != nil {
		return err
	}
	return a.cur.Load().enroll.Reseal(ctx, begin, fn)
}

// noteRotated tells forgetFormerKeys that there is work.
func (a *App) noteRotated() {
	select {
	case a.rotated <- struct{}{}:
	default: // it is told already
	}
}

func (a *App) newKey(ctx context.Context) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	if err := a.key.Rotate(a.cur.Load().cfg.Secrets.KeyFile); err != nil {
		return err
	}
	a.opts.Log.Info("new key", "key", a.key.ID(), "former", a.key.IDs()[1])
	return store.Update(ctx, a.store, keyID, func([]byte) ([]byte, error) { return []byte(a.key.ID()), nil })
}

// formerKept is how long a former key is needed: as long as a code that was sent
// with it is good, and a conversation lasts that began with it.
var formerKept = func(code challenge.CodeConfig) time.Duration { return challenge.LongestCode(code) + 15*time.Minute }

// forgetFormerKeys forgets them when they are needed no more, after a change of
// the key and after a start that finds some. It ends with ctx.
func (a *App) forgetFormerKeys(ctx context.Context) {
	if a.key.Former() > 0 {
		a.noteRotated()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.rotated:
		}
		wait := time.NewTimer(a.formerLeft())
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := a.forgetFormer(ctx); err != nil && ctx.Err() == nil {
			a.opts.Log.Error("former key is kept: not all secrets could be sealed anew; mend the records and change the key again", "error", err)
		}
	}
}

// formerLeft returns how long the former keys are needed yet, from the change of
// the file on: a daemon that is started anew every night forgets them too.
func (a *App) formerLeft() time.Duration {
	cfg := a.cur.Load().cfg
	kept := formerKept(cfg.Code)
	info, err := os.Stat(cfg.Secrets.KeyFile)
	if err != nil {
		return kept
	}
	return min(kept, time.Until(info.ModTime().Add(kept)))
}

// forgetFormer seals what still needs a former key, and forgets those.
func (a *App) forgetFormer(ctx context.Context) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	err := a.cur.Load().enroll.Reseal(ctx, func(int) {}, func(string, error) {})
	if err != nil || len(a.rotated) > 0 { // a newer change waits for its time
		return err
	}
	if err := a.store.Retag(ctx); err != nil {
		return err
	}
	return a.key.Forget(a.cur.Load().cfg.Secrets.KeyFile)
}
