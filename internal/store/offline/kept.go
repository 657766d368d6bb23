package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// A record is what is kept of a user.
type record struct {
	Enrollment    []byte `json:"enrollment"`
	EnrollmentRev uint64 `json:"enrollment_rev"` // of the fleet
	State         []byte `json:"state"`          // that the fleet has, or had when Here began
	StateRev      uint64 `json:"state_rev"`      // of the fleet; 0: State was decided here, and is merged
	Here          []byte `json:"here,omitempty"` // decided here since; empty: nothing was

	// A merge was begun, and its outcome is not known: the state that was merged, and the mark
	// that the fleet's has if that happened.
	Sent []byte `json:"sent,omitempty"`
	Mark string `json:"mark,omitempty"`
}

// isMerged says whether the fleet knows all of it.
func (r record) isMerged() bool { return r.Here == nil && r.Sent == nil }

// newest returns the state that counts here.
func (r record) newest() []byte {
	if r.Here != nil {
		return r.Here
	}
	return r.State
}

// maxKept bounds the users who are kept.
const maxKept = 100_000

// kept has the records of the users who are kept, each sealed, in the store of this host.
// It may be used from many goroutines.
type kept struct {
	s    Here
	key  *seal.Key
	most int

	mu       sync.Mutex          // guards what follows
	users    map[string]bool     // who are kept; true: let in since the start
	unmerged map[string]bool     // users of whom the fleet does not know all
	stuck    map[string]bool     // of those, whose merge failed for another reason than that etcd is away
	busy     map[string]int      // writes of the state of a user that are under way to etcd
	news     map[string]news     // not written yet, by user
	turns    map[string]*turn    // users whose news are being written
	reading  map[string]struct{} // users who have to be read anew; nil: none
	round    int                 // of that
	wake     chan struct{}       // has a value where there is news
}

// The first byte of what is stored says whether the fleet knows all of it.
const (
	isMerged   = 'm'
	isUnmerged = 'u'
)

// sealName is what the record of a user is bound to.
func sealName(user string, first byte) string { return "offline/" + string(first) + "/" + user }

// openKept reads who is kept.
func openKept(ctx context.Context, opts Options) (*kept, error) {
	k := &kept{
		s: opts.Here, key: opts.Key, most: maxKept, users: map[string]bool{}, unmerged: map[string]bool{}, stuck: map[string]bool{},
		busy: map[string]int{}, news: map[string]news{}, turns: map[string]*turn{}, wake: make(chan struct{}, 1),
	}
	err := store.Each(ctx, opts.Here, store.States, func(it store.Item, err error) error {
		user := strings.TrimPrefix(it.Key, store.States)
		if err != nil {
			return err
		}
		k.users[user] = false
		if len(it.Value) > 0 && it.Value[0] == isUnmerged {
			k.unmerged[user] = true
		}
		return nil
	})
	return k, err
}

// load returns what is kept of a user, and its revision. The error wraps store.ErrNotFound
// if that is nothing.
func (k *kept) load(ctx context.Context, user string) (r record, rev uint64, err error) {
	it, err := k.s.Get(ctx, store.States+user)
	if err != nil {
		return r, 0, err
	}
	plain, _, err := k.open(user, it.Value)
	if err == nil {
		err = json.Unmarshal(plain, &r)
	}
	if err != nil {
		return r, 0, store.Unreadable(fmt.Errorf("read what is kept of %q: %w", user, err))
	}
	return r, it.Rev, nil
}

func (k *kept) open(user string, sealed []byte) (plain []byte, former bool, err error) {
	if len(sealed) == 0 {
		return nil, false, errors.New("it is empty")
	}
	return k.key.OpenRecord(sealed[1:], sealName(user, sealed[0]))
}

func (k *kept) seal(user string, first byte, plain []byte) []byte {
	return append([]byte{first}, k.key.SealRecord(plain, sealName(user, first))...)
}

// save replaces what is kept of a user, and has rev; 0: nothing is. It is durable when it
// returns nil.
func (k *kept) save(ctx context.Context, user string, r record, rev uint64) (uint64, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	first := byte(isMerged)
	if !r.isMerged() {
		first = isUnmerged
		k.note(user, true) // before it is so: who looks for those merges one too many at most
	}
	it, err := k.s.Put(ctx, store.Item{Key: store.States + user, Value: k.seal(user, first, plain), Rev: rev})
	if err != nil {
		return 0, fmt.Errorf("keep %q: %w", user, err)
	}
	if r.isMerged() {
		k.note(user, false)
	}
	return it.Rev, nil
}

// note notes whether there is something of a user that the fleet does not know.
func (k *kept) note(user string, is bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if is {
		k.unmerged[user] = true
		return
	}
	delete(k.unmerged, user)
	delete(k.stuck, user)
}

// drop forgets a user, if the fleet knows all of what is kept.
func (k *kept) drop(ctx context.Context, user string) error {
	for {
		it, err := k.s.Get(ctx, store.States+user)
		if err == nil || errors.Is(err, store.ErrUnreadable) {
			err = k.s.Delete(ctx, it)
		}
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("forget what is kept of %q: %w", user, err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.users, user)
		delete(k.unmerged, user)
		delete(k.stuck, user)
		return nil
	}
}

func (k *kept) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.users)
}

func (k *kept) has(user string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, has := k.users[user]
	return has
}

// isUnmerged says whether there is something of a user that the fleet does not know.
func (k *kept) isUnmerged(user string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unmerged[user]
}

// isStuck says whether what was decided here of a user could not be merged.
func (k *kept) isStuck(user string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stuck[user]
}

// stick notes that what was decided here of a user could not be merged, and says whether
// that is new.
func (k *kept) stick(user string) (isNew bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	isNew = !k.stuck[user]
	k.stuck[user] = true
	return isNew
}

// toMerge returns the users of whom the fleet does not know all; again says whether those
// are among them whose merge failed.
func (k *kept) toMerge(again bool) (users []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for user := range k.unmerged {
		if again || !k.stuck[user] {
			users = append(users, user)
		}
	}
	return users
}

// reseal seals anew what needs a former key.
func (k *kept) reseal(ctx context.Context) error {
	return store.Each(ctx, k.s, store.States, func(it store.Item, err error) error {
		user := strings.TrimPrefix(it.Key, store.States)
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		plain, former, err := k.open(user, it.Value)
		if err != nil || !former {
			return nil // a record that no key opens stays as it is
		}
		it.Value = k.seal(user, it.Value[0], plain)
		if _, err = k.s.Put(ctx, it); errors.Is(err, store.ErrConflict) {
			err = nil // whoever was faster sealed it anew
		}
		return err
	})
}

// same says whether two records are the same to the fleet.
func (r record) same(other record) bool {
	return r.EnrollmentRev == other.EnrollmentRev && r.StateRev == other.StateRev &&
		bytes.Equal(r.Enrollment, other.Enrollment) && bytes.Equal(r.State, other.State)
}
