// Package etcd keeps enrollments and states of a fleet in etcd, by its own client.
// Nothing here replicates, elects or orders: etcd does.
//
// What to know before trusting it: a write is one transaction, which compares the
// revision of the item, and of whatever else its caller's View saw, and is durable on a
// majority of the members when it returns nil. Reads are linearizable, except where the
// caller's ctx has a store.View: those may come from memory, and then nothing is decided
// until a transaction has found all of it to be so. Every value is sealed as a whole and
// bound to its key before it leaves the host: a reader of etcd sees names and sizes, and
// a value that was changed or moved to another key is store.ErrUnreadable. Who may write
// to etcd can bring back an older value of the same key.
//
// # An outcome that nobody knows
//
// When the deadline passes or the connection breaks after a transaction was sent, it may
// have happened, may never happen, or may happen later. The call then returns an error, so
// that the login is refused and its person hears neither "right" nor "wrong". What was in
// memory of that key is dropped, so the next transaction on it compares with a revision
// that etcd was asked for after that, or that a watch or another answer of etcd told.
// That is enough, because of each revision at most one transaction can win:
//
//   - The transaction happened: the item has a new revision, the next reader sees the
//     attempt counted and the code spent, and cannot use it again.
//   - It did not, and comes late: its compare fails once any later write of that item won.
//     If it arrives before that one, then that one loses its own compare, reads again, and
//     sees the attempt counted.
//
// So one guess never becomes two accepted: only a call that returned nil accepts, and it
// won the revision. And none becomes free: an attempt that was not counted got no answer,
// the same whether it was right or wrong, so nothing was learned by it. The client never
// sends a transaction again unless it is sure that no member has seen it
// (clientv3, isSafeRetryMutableRPC), or the member said that it has no leader, which it looks
// at before anything else.
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// maxName bounds a name, in bytes, as the local store does.
const maxName = 1024

// maxValue bounds a value, in bytes: etcd takes requests of up to 1.5 MiB.
const maxValue = 1 << 20

// Store is an open prefix of an etcd. It implements store.Cacher and store.Locator. Its
// methods may be called from many goroutines.
type Store struct {
	client  *clientv3.Client
	prefix  string
	timeout time.Duration
	key     *seal.Key
	log     *slog.Logger
	tls     *tls.Config // nil: no endpoint has TLS
	now     func() time.Time
	host    Host

	cache  *cache
	turns  turns
	told   told // what was said of etcd last
	past   *past
	health health
	follow Follower // nil: nobody follows

	endWatch context.CancelFunc
	watching sync.WaitGroup
}

// Close ends the watch and the connections.
func (s *Store) Close() error {
	s.endWatch()
	s.watching.Wait()
	err := s.client.Close()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// Get implements store.Store. With a store.View it may answer from memory.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	if err := s.check(ctx, key); err != nil {
		return store.Item{}, fmt.Errorf("get %q: %w", key, err)
	}
	view := store.ViewOf(ctx)
	if view == nil {
		found, err := s.ask(ctx, key)
		if err != nil {
			return store.Item{}, fmt.Errorf("get %q: %w", key, err)
		}
		return s.open(found[0])
	}
	sight, known := s.cache.get(key)
	if !known {
		all, err := s.ask(ctx, append([]string{key}, companions(key)...)...)
		if err != nil {
			return store.Item{}, fmt.Errorf("get %q: %w", key, err)
		}
		for _, one := range all {
			s.cache.put(one)
		}
		sight = all[0]
	}
	view.Saw(key, sight.rev, !known)
	return s.open(sight)
}

// companions returns the keys that are read right after key.
func companions(key string) []string {
	if name, is := strings.CutPrefix(key, store.States); is {
		return []string{store.Users + name}
	}
	return nil
}

// ask reads keys from etcd, all at one revision.
func (s *Store) ask(ctx context.Context, keys ...string) ([]sighting, error) {
	ops := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		ops[i] = clientv3.OpGet(s.prefix + key)
	}
	var resp *clientv3.TxnResponse
	err := s.call(ctx, reading, func(ctx context.Context) (err error) {
		resp, err = s.client.Txn(ctx).Then(ops...).Commit()
		return err
	}, func() int64 { return resp.Header.Revision })
	if err != nil {
		return nil, err
	}
	return s.sightings(keys, resp), nil
}

// sightings returns what resp, an answer to one OpGet for each of keys, says of them.
func (s *Store) sightings(keys []string, resp *clientv3.TxnResponse) []sighting {
	all := make([]sighting, len(keys))
	for i, key := range keys {
		all[i] = sighting{key: key, asOf: resp.Header.Revision}
		if kvs := resp.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			all[i].rev, all[i].sealed = uint64(kvs[0].ModRevision), kvs[0].Value
		}
	}
	return all
}

// open returns the item that was seen.
func (s *Store) open(seen sighting) (store.Item, error) {
	if seen.rev == 0 {
		return store.Item{Key: seen.key}, fmt.Errorf("get %q: %w", seen.key, store.ErrNotFound)
	}
	value, _, err := s.key.OpenRecord(seen.sealed, s.prefix+seen.key)
	if err != nil {
		return store.Item{Key: seen.key, Rev: seen.rev}, store.Unreadable(fmt.Errorf("%s: %w", s.Location(seen.key), err))
	}
	return store.Item{Key: seen.key, Value: value, Rev: seen.rev}, nil
}

// Put implements store.Store, and store.Cacher: with a View it also fails unless all is so
// that the View saw. Once sent, Put waits for the outcome even if ctx ends.
func (s *Store) Put(ctx context.Context, it store.Item) (store.Item, error) {
	err := s.check(ctx, it.Key)
	if err == nil && len(it.Value) > maxValue {
		err = fmt.Errorf("the record has %d bytes, and etcd takes %d", len(it.Value), maxValue)
	}
	if err == nil {
		it.Rev, err = s.swap(ctx, it.Key, it.Rev, s.key.SealRecord(it.Value, s.prefix+it.Key))
	}
	if err != nil {
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, err)
	}
	return it, nil
}

// Delete implements store.Store, as Put does.
func (s *Store) Delete(ctx context.Context, it store.Item) error {
	err := s.check(ctx, it.Key)
	if err == nil {
		_, err = s.swap(ctx, it.Key, it.Rev, nil)
	}
	if err != nil {
		return fmt.Errorf("delete %q: %w", it.Key, err)
	}
	return nil
}

// pageOfKeys is how many keys one answer of etcd has at most.
const pageOfKeys = 2000

// Keys implements store.Store. It asks page by page, all at the revision of the first, if that is
// not compacted meanwhile.
func (s *Store) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	for _, head := range []string{store.Meta, store.States, store.Users} { // sorted
		from := s.prefix + head
		switch {
		case strings.HasPrefix(prefix, head):
			from = s.prefix + prefix
		case !strings.HasPrefix(head, prefix):
			continue
		}
		err := s.pages(ctx, from, clientv3.WithKeysOnly(), func(key string, _ []byte, _ int64) error {
			keys = append(keys, strings.TrimPrefix(key, s.prefix))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list %q: %w", prefix, err)
		}
	}
	return keys, nil
}

// pageOfItems is how many records one answer of etcd has at most.
const pageOfItems = 500

// Scan implements store.Cacher. Prefix begins with a key space.
func (s *Store) Scan(ctx context.Context, prefix string, fn func(store.Item, error) error) error {
	if err := s.check(ctx, prefix+"x"); err != nil {
		return fmt.Errorf("read all of %q: %w", prefix, err)
	}
	return s.pages(ctx, s.prefix+prefix, clientv3.WithLimit(pageOfItems), func(whole string, value []byte, rev int64) error {
		return fn(s.open(sighting{key: strings.TrimPrefix(whole, s.prefix), rev: uint64(rev), sealed: value}))
	})
}

// pages calls fn for everything whose whole key begins with head, in order.
func (s *Store) pages(ctx context.Context, head string, how clientv3.OpOption, fn func(key string, value []byte, rev int64) error) error {
	at, end, rev := head, clientv3.GetPrefixRangeEnd(head), int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageOfKeys), clientv3.WithRev(rev), how}
		var resp *clientv3.GetResponse
		err := s.call(ctx, reading, func(ctx context.Context) (err error) {
			resp, err = s.client.Get(ctx, at, opts...)
			return err
		}, func() int64 { return resp.Header.Revision })
		if errors.Is(err, rpctypes.ErrCompacted) && rev != 0 {
			rev = 0 // the rest is of now
			continue
		}
		if err != nil {
			return err
		}
		rev = resp.Header.Revision
		for _, kv := range resp.Kvs {
			if err := fn(string(kv.Key), kv.Value, kv.ModRevision); err != nil {
				return err
			}
		}
		if !resp.More || len(resp.Kvs) == 0 {
			return nil
		}
		at = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// Location implements store.Locator.
func (s *Store) Location(key string) string { return fmt.Sprintf("etcd key %q", s.prefix+key) }

// check returns an error if key is none of this store, or ctx ended.
func (s *Store) check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	head, name, _ := strings.Cut(key, "/")
	switch head + "/" {
	case store.Users, store.States, store.Meta:
	default:
		return errors.New("no such key space")
	}
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name has %d bytes, more than %d", len(name), maxName)
	}
	return nil
}
