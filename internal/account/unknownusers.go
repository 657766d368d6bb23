package account

import (
	"bytes"
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
)

// maxUnknownUsers bounds the names that UnknownUsers remembers. The least recently changed
// goes first.
const maxUnknownUsers = 2048

// UnknownUsers holds the State of names that have no account, so that logins by them are
// answered like others: a code that was sent a second ago, the wrong codes so far, a lock.
// It is in memory only, of at most maxUnknownUsers names, by a keyed hash of the name. It
// may be used from many goroutines.
type UnknownUsers struct {
	key [sha256.Size]byte

	mu     sync.Mutex // guards what follows
	states map[[sha256.Size]byte]*list.Element
	order  list.List // of *unknownUser, the newest first
}

type unknownUser struct {
	name  [sha256.Size]byte
	state []byte // as record.EncodeState writes it
}

// NewUnknownUsers returns an empty UnknownUsers.
func NewUnknownUsers() *UnknownUsers {
	s := &UnknownUsers{states: map[[sha256.Size]byte]*list.Element{}}
	rand.Read(s.key[:])
	return s
}

// hash returns the keyed hash of a name.
func (s *UnknownUsers) hash(name string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, s.key[:])
	h.Write([]byte(name))
	h.Sum(sum[:0])
	return sum
}

// state returns what is remembered of a name.
func (s *UnknownUsers) state(name string) (mfa.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.states[s.hash(name)]
	if !ok {
		return mfa.State{}, nil
	}
	return read(e.Value.(*unknownUser).state)
}

// read is record.DecodeState; nil is the zero State.
func read(state []byte) (mfa.State, error) {
	if state == nil {
		return mfa.State{}, nil
	}
	return record.DecodeState("the state of an unknown user", state)
}

// update lets fn edit the State of a name, and returns whether it changed.
func (s *UnknownUsers) update(name string, fn func(*mfa.State) error) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.hash(name)
	var old []byte
	e := s.states[sum]
	if e != nil {
		old = e.Value.(*unknownUser).state
	}
	st, err := read(old)
	if err != nil {
		return false, err
	}
	if err := fn(&st); err != nil {
		return false, err
	}
	next, err := record.EncodeState(name, st, nil)
	if err != nil {
		return false, err
	}
	if e == nil {
		e = s.order.PushFront(&unknownUser{name: sum})
		s.states[sum] = e
	}
	e.Value.(*unknownUser).state = next
	s.order.MoveToFront(e)
	if s.order.Len() > maxUnknownUsers {
		last := s.order.Back()
		delete(s.states, s.order.Remove(last).(*unknownUser).name)
	}
	return !bytes.Equal(old, next), nil
}
