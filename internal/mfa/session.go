package mfa

import (
	"slices"
	"time"
)

// A Session is a login that is remembered: while it lasts, logins like it are
// not asked for a second factor. Nothing of it is kept on the client; it is the
// place that is known again. Address and Key may be Any.
type Session struct {
	ID         string    `json:"id"`
	Service    string    `json:"service"`
	Address    string    `json:"address"`        // network of the client, as "203.0.113.7/32"
	Key        string    `json:"key,omitempty"`  // fingerprint of the SSH key; empty: no key was used
	Host       string    `json:"host,omitempty"` // of a fleet on which it counts; empty: on all
	UID        uint32    `json:"uid,omitempty"`  // of the process that asked; it counts only where the same uid asks
	Method     Method    `json:"method"`         // that was proven
	Enrollment string    `json:"enrollment"`     // Fingerprint of what was set up then
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires"`
	LastUsed   time.Time `json:"last_used"`
}

// Any is an Address or a Key that a Session is not bound to.
const Any = "any"

// SamePlace reports whether two sessions have the same service, address, key,
// host and UID.
func (s Session) SamePlace(t Session) bool {
	return s.Service == t.Service && s.Address == t.Address && s.Key == t.Key && s.Host == t.Host && s.UID == t.UID
}

// RevokeSessions ends all remembered sessions and returns how many there were.
func (s *State) RevokeSessions() int {
	n := len(s.Sessions)
	s.Sessions = nil
	return n
}

// RevokeSession ends one remembered session and says whether there was one of
// that ID.
func (s *State) RevokeSession(id string) bool {
	n := len(s.Sessions)
	s.Sessions = slices.DeleteFunc(s.Sessions, func(t Session) bool { return t.ID == id })
	if len(s.Sessions) == 0 {
		s.Sessions = nil
	}
	return len(s.Sessions) < n
}
