package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mfa/internal/enroll"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// An Import is the body of POST /v1/users/NAME/import: what another program kept
// of a user's second factor.
type Import struct {
	UID    uint32 `json:"uid"`    // of the account whose it is; another one's is refused
	Source string `json:"source"` // one of enroll.Sources
	TOTP   struct {
		Secret    string       `json:"secret"` // base32
		Digits    int          `json:"digits"`
		Period    mfa.Duration `json:"period"`
		Algorithm string       `json:"algorithm"`
	} `json:"totp"`
	LastStep    int64    `json:"last_step"`
	BackupCodes []string `json:"backup_codes,omitempty"`
	Replace     bool     `json:"replace,omitempty"`
	DryRun      bool     `json:"dry_run,omitempty"`
}

// takeOver answers with an enroll.Taken.
func (s *Control) takeOver(r *http.Request, actor string) (any, error) {
	var in Import
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
	out, err := s.Enroll().TakeOver(r.Context(), id, enroll.Takeover{
		Source: in.Source, Secret: secret,
		Params:   otp.Params{Digits: in.TOTP.Digits, Period: time.Duration(in.TOTP.Period), Algorithm: in.TOTP.Algorithm},
		LastStep: in.LastStep, Codes: in.BackupCodes, Replace: in.Replace, DryRun: in.DryRun,
	}, actor)
	if errors.Is(err, enroll.ErrInvalid) {
		return nil, fault{http.StatusBadRequest, err}
	}
	return out, err
}

// readBody decodes what a caller sent, and passes over nothing in it.
func readBody(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fault{http.StatusBadRequest, fmt.Errorf("read request: %w", err)}
	}
	return nil
}
