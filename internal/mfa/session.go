package mfa

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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

// Fingerprint returns a hash of the account, the methods set up and the backup codes.
// The preferred method and the confirmation of an address are no part of it. It holds
// sealed secrets as they are, so it changes when they are sealed anew.
func (en Enrollment) Fingerprint() string {
	en.Version, en.Preferred = 0, ""
	for _, a := range []**Address{&en.Email, &en.SMS} {
		if *a != nil {
			*a = &Address{Address: (*a).Address}
		}
	}
	if en.TOTP != nil {
		app := *en.TOTP
		app.Confirmed = time.Time{}
		en.TOTP = &app
	}
	if en.HOTP != nil {
		token := *en.HOTP
		token.Confirmed, token.Serial = time.Time{}, ""
		en.HOTP = &token
	}
	b, err := json.Marshal(en)
	if err != nil {
		return "" // cannot be; and no session has it
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
