package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mfa/internal/enroll"
	"mfa/internal/factor/otp"
	"mfa/internal/wire"
)

// takeOver imports a user's second factor from another program.
func (s exchange) takeOver(r *http.Request, actor string) (any, error) {
	var in wire.Import
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	if in.UID != id.UID {
		return nil, fault{http.StatusConflict, fmt.Errorf("user %q has uid %d, not %d", id.Name, id.UID, in.UID)}
	}
	secret, err := otp.ParseSecret(in.TOTP.Secret)
	if err != nil {
		return nil, fault{http.StatusBadRequest, err}
	}
	out, err := s.Enroll.TakeOver(r.Context(), id, enroll.Takeover{
		Source: in.Source, Secret: secret,
		Params:   otp.Params{Digits: in.TOTP.Digits, Period: time.Duration(in.TOTP.Period), Algorithm: in.TOTP.Algorithm},
		LastStep: in.LastStep, Codes: in.BackupCodes, Replace: in.Replace, DryRun: in.DryRun,
	}, actor)
	if errors.Is(err, enroll.ErrInvalid) {
		return nil, fault{http.StatusBadRequest, err}
	}
	return out, err
}

// readBody decodes the body of a request. An unknown key is an error.
func readBody(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fault{http.StatusBadRequest, fmt.Errorf("read request: %w", err)}
	}
	return nil
}
