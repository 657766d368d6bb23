package server

import (
	"context"
	"errors"
	"net/http"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// reveals says whether addresses are asked for without masks.
func reveals(r *http.Request) bool { return r.URL.Query().Get(wire.QueryReveal) == wire.Yes }

// users streams a wire.User of each. Names that are not those of their accounts
// are marked, as long as NSS answers.
func (s exchange) users(r *http.Request, _ string, out *stream) error {
	answers := true
	return s.Enroll.Each(r.Context(), reveals(r), out.begin, func(v wire.User) error {
		if answers && v.Problem == "" {
			var err error
			v.Canonical, err = otherName(r.Context(), v.User, v.UID)
			answers = err == nil
		}
		return out.item(v)
	})
}

// otherName returns the name of the account that has uid, if it is not name. Where
// that cannot be told, nobody is the account.
func otherName(ctx context.Context, name string, uid uint32) (string, error) {
	id, err := nss.LookupUID(ctx, uid)
	switch {
	case errors.Is(err, nss.ErrNoAccount), errors.Is(err, nss.ErrContradiction):
		return "", nil
	case err != nil || id == (mfa.Identity{Name: name, UID: uid}):
		return "", err
	}
	return id.Name, nil
}
