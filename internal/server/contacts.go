package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// setContacts sets where the codes of many users go. A line of which nothing becomes
// has its error in the answer, and keeps no other from being done.
func (s exchange) setContacts(r *http.Request, actor string) (any, error) {
	var in wire.Contacts
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	if n := len(in.Lines); n > wire.MaxContactLines {
		return nil, fault{http.StatusBadRequest, fmt.Errorf("%d lines: at most %d can be sent at once", n, wire.MaxContactLines)}
	}
	plain := nss.ReadPlain()
	out := wire.ContactsSet{Lines: make([]wire.ContactSet, len(in.Lines))}
	for i, line := range in.Lines {
		set, err := s.setLine(r.Context(), plain, line, in, actor)
		switch {
		case r.Context().Err() != nil:
			return nil, r.Context().Err()
		case err != nil:
			set.Error = err.Error()
		}
		out.Lines[i] = set
	}
	return out, nil
}

// setLine sets where the codes of one of many users go.
func (s exchange) setLine(ctx context.Context, plain nss.Plain, line wire.ContactLine, in wire.Contacts, actor string) (wire.ContactSet, error) {
	id, known := plain.Account(line.User)
	if !known {
		var err error
		if id, err = s.named(ctx, line.User); err != nil {
			return wire.ContactSet{User: line.User}, err
		}
	}
	set, err := s.Enroll.SetContacts(ctx, id, enroll.Contacts{
		Email: line.Email, Phone: line.Phone, Replace: in.Replace, DryRun: in.DryRun,
	}, actor)
	if err != nil && !errors.Is(err, enroll.ErrInvalid) {
		s.Log.Error("contacts of a list not set", "user", id.Name, "error", err)
	}
	return set, err
}

// named returns the account that a name from outside means.
func (s exchange) named(ctx context.Context, name string) (mfa.Identity, error) {
	id, err := s.Lookup(ctx, name)
	if errors.Is(err, nss.ErrNoAccount) {
		return id, fault{http.StatusNotFound, fmt.Errorf("no account named %q on this machine", name)}
	}
	return id, err
}
