package server

import (
	"cmp"
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
	take, err := takeoverOf(in)
	if err != nil {
		return nil, fault{http.StatusBadRequest, err}
	}
	out, err := s.Enroll.TakeOver(r.Context(), id, take, actor)
	if errors.Is(err, enroll.ErrInvalid) {
		return nil, fault{http.StatusBadRequest, err}
	}
	return out, err
}

// takeoverOf returns what in means.
func takeoverOf(in wire.Import) (enroll.Takeover, error) {
	take := enroll.Takeover{Source: in.Source, Codes: in.BackupCodes, Replace: in.Replace, DryRun: in.DryRun}
	var err error
	if in.HOTP != nil {
		var t enroll.Token
		t, err = tokenOf(*in.HOTP, otp.ParseSecret)
		take.Token = &t
		return take, err
	}
	take.Secret, err = otp.ParseSecret(in.TOTP.Secret)
	take.Params = otp.Params{Digits: in.TOTP.Digits, Period: time.Duration(in.TOTP.Period), Algorithm: in.TOTP.Algorithm}
	take.LastStep = in.LastStep
	return take, err
}

// tokenOf returns the token that in means, whose secret parse reads. Without one it is new.
func tokenOf(in wire.NewToken, parse func(string) ([]byte, error)) (t enroll.Token, err error) {
	t = enroll.Token{Count: in.Count, Serial: in.Serial, Params: otp.Params{Digits: cmp.Or(in.Digits, 6), Algorithm: cmp.Or(in.Algorithm, "SHA1")}}
	if in.Secret != "" {
		t.Secret, err = parse(in.Secret)
	}
	return t, err
}

// setToken gives a user a token.
func (s exchange) setToken(r *http.Request, actor string) (any, error) {
	var in wire.NewToken
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	t, err := tokenOf(in, otp.ParseTokenSecret)
	if err != nil {
		return nil, fault{http.StatusBadRequest, err}
	}
	var shown enroll.Shown
	switch n := len(in.Codes); {
	case n > 0 && (n != 2 || in.Secret != "" || in.Serial != ""):
		return nil, fault{http.StatusBadRequest, errors.New("codes: want two in a row of the token that the user has, and no other token")}
	case n > 0:
		err = s.Enroll.FindToken(r.Context(), id, in.Codes[0], in.Codes[1], actor)
	default:
		shown, err = s.Enroll.SetToken(r.Context(), id, t, actor)
	}
	switch {
	case errors.Is(err, enroll.ErrInvalid):
		return nil, fault{http.StatusBadRequest, err}
	case errors.Is(err, enroll.ErrNotEnrolled):
		return nil, fault{http.StatusNotFound, err}
	}
	return wire.NewApp{User: id.Name, Text: shown.Text, QR: shown.Drawing, Replaces: shown.Replaces}, err
}

// shelve brings in a token that waits for its user.
func (s exchange) shelve(r *http.Request, actor string) (any, error) {
	var in wire.ShelfToken
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	in.Serial = r.PathValue("serial")
	t, err := tokenOf(in.NewToken, otp.ParseSecret)
	if err != nil {
		return nil, fault{http.StatusBadRequest, err}
	}
	out, err := s.Enroll.Shelve(r.Context(), t, in.Replace, in.DryRun, actor)
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
