package challenge

import (
	"sync"

	"mfa/internal/mfa"
)

// Underway knows the codes that no carrier has taken yet, and of which nobody may be told that
// they were sent. It knows those of this process only. The zero value is ready; it may be used
// from many goroutines.
type Underway struct {
	mu    sync.Mutex
	codes map[string]bool // by nonce
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
