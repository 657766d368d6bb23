package server

import (
	"errors"
	"net/http"

	"mfa/internal/enroll"
	"mfa/internal/wire"
)

// record answers with the enrollment of a user as TOML. Only root may have it, as the file
// of a local store: it has sealed secrets and the hashes of backup codes.
func (s exchange) record(r *http.Request, actor string) (any, error) {
	if _, err := s.root(r.Context()); err != nil {
		s.denied(r, actor, err)
		return nil, err
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	text, err := s.Enroll.Text(r.Context(), id)
	if errors.Is(err, enroll.ErrNotEnrolled) {
		return nil, fault{http.StatusNotFound, err}
	}
	return wire.Record{User: id.Name, Text: text}, err
}

// edit replaces the enrollment of a user.
func (s exchange) edit(r *http.Request, actor string) (any, error) {
	if _, err := s.root(r.Context()); err != nil {
		s.denied(r, actor, err)
		return nil, err
	}
	var in wire.Edit
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	changed, err := s.Enroll.Edit(r.Context(), id, in.Before, in.After, actor)
	switch {
	case errors.Is(err, enroll.ErrInvalid):
		return nil, fault{http.StatusBadRequest, err}
	case errors.Is(err, enroll.ErrMeanwhile):
		return nil, fault{http.StatusConflict, err}
	}
	return wire.Edited{User: id.Name, Changed: changed}, err
}
