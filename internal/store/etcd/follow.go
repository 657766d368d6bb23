package etcd

import "mfa/internal/store"

// A Follower is told what a Store learns of etcd. Its methods are called from many
// goroutines, must be quick, and may not call the Store.
type Follower interface {
	// Heard says that etcd answered.
	Heard()
	// Began says that a watch begins: what changed before may not have been told.
	Began()
	// Changed says that a record is so now. Open returns it, or the error of Get; of one
	// that is gone it has no value, and the revision at which it went.
	Changed(key string, open func() (store.Item, error))
	// Reached says that the watch has told of everything so far, and so that etcd was heard of.
	Reached()
}

func (s *Store) heard() {
	if s.follow != nil {
		s.follow.Heard()
	}
}

func (s *Store) began() {
	if s.follow != nil {
		s.follow.Began()
	}
}

func (s *Store) changed(seen sighting) {
	if s.follow == nil {
		return
	}
	s.follow.Changed(seen.key, func() (store.Item, error) {
		if seen.rev == 0 {
			return store.Item{Key: seen.key, Rev: uint64(seen.asOf)}, nil
		}
		return s.open(seen)
	})
}

func (s *Store) reached() {
	if s.follow != nil {
		s.follow.Reached()
	}
}
