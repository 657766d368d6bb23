package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// In a fleet nobody can read all enrollments to find those of a uid. So the store has an
// item for each name that a uid was ever enrolled or locked under: written before the
// record is, and never taken away, it says where to look, and nothing more.

// uidKeys begin the keys of those items; the uid and the name follow.
const uidKeys = store.Meta + "uid/"

func uidKey(uid uint32) string { return fmt.Sprintf("%s%d/", uidKeys, uid) }

// NoteUID notes in a fleet that there may be a record of that uid under that name. It is
// called before such a record is written.
func (r Records) NoteUID(ctx context.Context, id mfa.Identity) error {
	if r.Host == "" {
		return nil
	}
	key := uidKey(id.UID) + id.Name
	_, err := r.S.Get(store.WithoutView(ctx), key)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = r.S.Put(store.WithoutView(ctx), store.Item{Key: key})
	if errors.Is(err, store.ErrConflict) {
		err = nil // another was faster
	}
	return err
}

// names returns the names under which there may be a record of a uid.
func (r Records) names(ctx context.Context, uid uint32) ([]string, error) {
	keys, err := r.S.Keys(ctx, uidKey(uid))
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key, uidKey(uid))
	}
	return keys, err
}
