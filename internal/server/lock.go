package server

import (
	"errors"
	"net/http"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// maxLock is how long a lock with an end may last, as lockout.duration.
const maxLock = mfa.LongestLock

// lock also locks a user who is not enrolled, so that nobody enrolls in their name.
func (s exchange) lock(r *http.Request, actor string) (any, error) {
	var in wire.LockRequest
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	if time.Duration(in.For) > maxLock {
		return nil, fault{http.StatusBadRequest, errors.New("a lock lasts 365d at most, or until unlocked")}
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	until, err := s.Accounts.Lock(r.Context(), id, time.Duration(in.For), actor)
	return wire.Lock{User: id.Name, Until: until}, err
}
