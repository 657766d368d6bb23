package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mfa/internal/mfa"
)

// maxLock is how long a lock with an end may last, as lockout.duration.
const maxLock = mfa.LongestLock

// A LockRequest is what POST /v1/users/NAME/lock takes.
type LockRequest struct {
	For mfa.Duration `json:"for,omitempty"` // zero: until unlocked
}

// A Lock is what it answers.
type Lock struct {
	User  string     `json:"user"`
	Until *time.Time `json:"until,omitempty"` // absent: until unlocked
}

// lock also locks who is not enrolled: nobody enrolls in their name meanwhile.
func (s *Control) lock(r *http.Request, actor string) (any, error) {
	var in LockRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, fault{http.StatusBadRequest, fmt.Errorf("read request: %w", err)}
	}
	if time.Duration(in.For) > maxLock {
		return nil, fault{http.StatusBadRequest, errors.New("a lock lasts 365d at most, or until unlocked")}
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	until, err := s.Asker().Lock(r.Context(), id, time.Duration(in.For), actor)
	return Lock{User: id.Name, Until: until}, err
}
