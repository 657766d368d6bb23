package etcd

import (
	"context"
	"errors"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/store"
)

// The pace of the watch.
const (
	lookEvery   = 500 * time.Millisecond // at how far it has come
	mayLag      = 6                      // looks at which it is behind what etcd has answered; then it begins anew
	mayBegin    = 10                     // looks before it is there
	watchAgain  = 100 * time.Millisecond // wait before the next watch, doubled each time
	watchSeldom = 5 * time.Second        // the longest wait
)

// watch keeps the cache up to date until ctx ends. A watch that is cut, compacted,
// without a leader or too far behind ends the cache, and a new one begins. There is one
// watch for all key spaces, which lie between the first and the last of them: etcd's own
// proxy makes one out of those of many hosts. What hosts note of themselves (hosts/) is not
// in it: a change of one host would go to all.
func (s *Store) watch(ctx context.Context) {
	wait := watchAgain
	for ctx.Err() == nil {
		began, err := s.watchOnce(ctx)
		s.cache.end()
		if ctx.Err() != nil {
			return
		}
		s.told.watchEnded(s.log, err)
		if began {
			wait = watchAgain
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, watchSeldom)
	}
}

// errBehind means that the watch does not tell what etcd has answered long ago.
var errBehind = errors.New("the watch is behind")

// watchOnce watches until something is wrong. Began says whether the watch ever was there.
func (s *Store) watchOnce(ctx context.Context) (began bool, err error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	from, end := s.prefix+store.Meta, clientv3.GetPrefixRangeEnd(s.prefix+store.Users)
	events := s.client.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithCreatedNotify())
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	late := 0 // looks since it was not behind
	for {
		select {
		case resp, open := <-events:
			if !open {
				return began, ctx.Err()
			}
			if err := resp.Err(); err != nil {
				return began, err
			}
			if resp.Created && !began {
				began = true
				s.cache.begin(resp.Header.Revision)
				s.began()
			}
			s.take(resp)
		case <-look.C:
			late++
			switch {
			case began && s.cache.progress() >= s.past.newest():
				late = 0
			case began && late > mayLag, late > mayBegin:
				return began, errBehind
			case began: // it may be that others changed what is not ours to see
				_ = s.client.RequestProgress(ctx)
			}
		}
	}
}

// take takes in what the watch says.
func (s *Store) take(resp clientv3.WatchResponse) {
	for _, ev := range resp.Events {
		seen := sighting{key: strings.TrimPrefix(string(ev.Kv.Key), s.prefix), asOf: ev.Kv.ModRevision}
		if ev.Type == clientv3.EventTypePut {
			seen.rev, seen.sealed = uint64(ev.Kv.ModRevision), ev.Kv.Value
		}
		s.changed(seen)
		s.cache.changed(seen)
	}
	s.cache.reached(resp.Header.Revision)
	s.reached()
}
