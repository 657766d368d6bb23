package challenge

import (
	"sync"

	"mfa/internal/mfa"
)

// Underway knows the codes that no carrier has taken yet, and of which nobody may be told that
// they were sent. It knows those of this process only. Of a name without an account it says
// what was said of others lately: a mail server takes longer than a prompt waits, and what is
// never sent would be known by that. The zero value is ready; it may be used from many
// goroutines.
type Underway struct {
	mu     sync.Mutex
	codes  map[string]bool     // by nonce
	lately map[mfa.Method]bool // whether the newest code was under way when it was told of
}

// told notes what a person was told of a code of a method that had just been sent.
func (u *Underway) told(m mfa.Method, underway bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.lately == nil {
		u.lately = map[mfa.Method]bool{}
	}
	u.lately[m] = underway
}

// asOthers returns what the newest person was told of a code of a method.
func (u *Underway) asOthers(m mfa.Method) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lately[m]
}

// asOthersStill is asOthers for a code that was told of before: it has left by now where that of
// everybody has.
func (u *Underway) asOthersStill(m mfa.Method) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lately[m] && len(u.codes) > 0
}

func (u *Underway) add(p mfa.PendingCode) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.codes == nil {
		u.codes = map[string]bool{}
	}
	u.codes[string(p.Nonce)] = true
}

func (u *Underway) remove(p mfa.PendingCode) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.codes, string(p.Nonce))
}

func (u *Underway) has(p mfa.PendingCode) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.codes[string(p.Nonce)]
}
