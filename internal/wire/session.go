package wire

import (
	"time"

	"mfa/internal/mfa"
)

// Sessions are remembered sessions, of one user or of all.
type Sessions struct {
	Sessions   []Session `json:"sessions"`
	Unreadable []string  `json:"unreadable,omitempty"` // users whose record cannot be read
}

// A Session describes a remembered session.
type Session struct {
	User     string     `json:"user"`
	UID      uint32     `json:"uid"`
	ID       string     `json:"id"`
	Service  string     `json:"service"`
	Address  string     `json:"address"`       // network, or "any"
	Key      string     `json:"key,omitempty"` // fingerprint, or "any"; absent: no key was used
	Method   mfa.Method `json:"method"`        // that was proven
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	LastUsed time.Time  `json:"last_used"`
	Ended    string     `json:"ended,omitempty"` // why it does not count any more
}

// A Revocation says which remembered sessions were ended.
type Revocation struct {
	Revoked int      `json:"revoked"`          // sessions
	UID     *uint32  `json:"uid,omitempty"`    // of the user that was named
	Users   []string `json:"users,omitempty"`  // whose sessions they were
	Failed  []string `json:"failed,omitempty"` // users whose record cannot be read or written
}
