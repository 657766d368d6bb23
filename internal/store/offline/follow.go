package offline

import "mfa/internal/store"

// The Store follows what the store in etcd learns; see etcd.Follower.

// Heard takes in that etcd answered.
func (s *Store) Heard() { s.contact.heard(false) }

// Began takes in that a watch begins: what was changed before may have been missed.
func (s *Store) Began() { s.kept.readAnew() }

// Changed takes in that a record is so now; open returns it. A record that is gone has no
// value, and the revision at which it went.
func (s *Store) Changed(key string, open func() (store.Item, error)) {
	if user := owner(key); user == "" || !s.kept.has(user) {
		return
	}
	it, err := open()
	it.Key = key
	s.kept.changed(it, err != nil)
}

// Reached takes in that the watch has told of everything so far.
func (s *Store) Reached() { s.contact.heard(s.kept.isQuiet()) }
