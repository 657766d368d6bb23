package server

import (
	"errors"
	"net/http"

	"mfa/internal/enroll"
	"mfa/internal/wire"
)

// setLanguage sets the language of a user's prompts and messages.
func (s exchange) setLanguage(r *http.Request, actor string) (any, error) {
	var in wire.Language
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	err = s.Enroll.SetLanguage(r.Context(), s.Accounts.ByAdministrator(id), in.Language, actor)
	switch {
	case errors.Is(err, enroll.ErrInvalid):
		return nil, fault{http.StatusBadRequest, err}
	case errors.Is(err, enroll.ErrNotEnrolled):
		return nil, fault{http.StatusNotFound, err}
	case err != nil:
		return nil, err
	}
	return s.Enroll.Show(r.Context(), id)
}
