package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/store"
)

// swap replaces the item at key that has rev by the sealed value, or removes it if that is
// nil, in one transaction. It returns the new revision. If the transaction finds anything
// to be otherwise, it reads that in the same go, so the next round of store.Update asks
// nothing more.
func (s *Store) swap(ctx context.Context, key string, rev uint64, sealed []byte) (uint64, error) {
	leave, err := s.turns.enter(ctx, key)
	if err != nil {
		return 0, err
	}
	defer leave()
	if now, known := s.cache.get(key); known && rev != 0 && now.rev > rev {
		return 0, store.ErrConflict // the turn before changed it
	}
	want, err := unsure(ctx, key)
	if err != nil {
		return 0, err
	}
	want[key] = rev
	asOf, found, err := s.commit(ctx, writing, want, s.change(key, rev, sealed))
	if err != nil {
		s.cache.drop(key)
		return 0, err
	}
	if err := outcome(found, key, rev, sealed == nil); err != nil {
		return 0, err
	}
	now := sighting{key: key, sealed: sealed, asOf: asOf}
	if sealed != nil {
		now.rev = uint64(asOf)
	}
	s.cache.put(now)
	if view := store.ViewOf(ctx); view != nil {
		view.Saw(key, now.rev, true)
	}
	return now.rev, nil
}

// change returns what replaces the item that has rev by the sealed value, or removes it.
func (s *Store) change(key string, rev uint64, sealed []byte) clientv3.Op {
	switch {
	case sealed != nil:
		return clientv3.OpPut(s.prefix+key, string(sealed))
	case rev == 0:
		return clientv3.OpGet(s.prefix + key) // there is nothing to remove
	}
	return clientv3.OpDelete(s.prefix + key)
}

// outcome returns the error of a change of key that was committed, where found is nil, or
// not, where it says what there is.
func outcome(found map[string]sighting, key string, rev uint64, remove bool) error {
	switch {
	case remove && (found == nil && rev == 0 || found != nil && found[key].rev == 0):
		return store.ErrNotFound
	case found != nil:
		return store.ErrConflict
	}
	return nil
}

// Confirm implements store.Cacher.
func (s *Store) Confirm(ctx context.Context) error {
	want, err := unsure(ctx, "")
	if err != nil || len(want) == 0 {
		return err
	}
	_, found, err := s.commit(ctx, reading, want)
	switch {
	case err != nil:
		return fmt.Errorf("confirm what was read: %w", err)
	case found != nil:
		return fmt.Errorf("confirm what was read: %w", store.ErrConflict)
	}
	return nil
}

// unsure returns the revisions that the View of ctx took from memory, but that of own. The
// error is store.ErrStale if one is known to be otherwise.
func unsure(ctx context.Context, own string) (map[string]uint64, error) {
	want := map[string]uint64{}
	view := store.ViewOf(ctx)
	if view == nil {
		return want, nil
	}
	for key, seen := range view.Seen() {
		switch {
		case key == own:
		case seen.Stale:
			return nil, fmt.Errorf("%q: %w", key, store.ErrStale)
		case !seen.Sure:
			want[key] = seen.Rev
		}
	}
	return want, nil
}

// commit runs ops if each key has the revision that is wanted, and returns the revision of
// etcd. Otherwise it returns in found what is there of each key, and tells cache and View.
func (s *Store) commit(ctx context.Context, how kind, want map[string]uint64, ops ...clientv3.Op) (asOf int64, found map[string]sighting, err error) {
	keys := slices.Sorted(maps.Keys(want))
	compares, gets := make([]clientv3.Cmp, len(keys)), make([]clientv3.Op, len(keys))
	for i, key := range keys {
		compares[i] = clientv3.Compare(clientv3.ModRevision(s.prefix+key), "=", int64(want[key]))
		gets[i] = clientv3.OpGet(s.prefix + key) // never serializable: or etcd would answer from one member alone
	}
	var resp *clientv3.TxnResponse
	err = s.call(ctx, how, func(ctx context.Context) (err error) {
		resp, err = s.client.Txn(ctx).If(compares...).Then(ops...).Else(gets...).Commit()
		return err
	}, func() int64 { return resp.Header.Revision })
	if err != nil {
		return 0, nil, err
	}
	view := store.ViewOf(ctx)
	if resp.Succeeded {
		for _, key := range keys {
			if view != nil {
				view.Saw(key, want[key], true)
			}
		}
		return resp.Header.Revision, nil, nil
	}
	found = map[string]sighting{}
	for _, seen := range s.sightings(keys, resp) {
		found[seen.key] = seen
		s.cache.put(seen)
		if view != nil && seen.rev != want[seen.key] {
			view.Spoil(seen.key)
		}
	}
	return resp.Header.Revision, found, nil
}
