package server

import (
	"context"
	"errors"
	"net/http"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// reveals reports whether the request asks for addresses without masks.
func reveals(r *http.Request) bool { return r.URL.Query().Get(wire.QueryReveal) == wire.Yes }

// users streams the wire.User of each user. It sets Canonical for a record whose uid has
// another name, until NSS fails once.
func (s exchange) users(r *http.Request, _ string, out *stream) error {
	names := accountNames{plain: nss.ReadPlain(), look: nss.LookupUID}
	answers := true
	return s.Enroll.Each(r.Context(), reveals(r), out.begin, func(v wire.User) error {
		if answers && v.Problem == "" {
			var err error
			v.Canonical, err = names.otherName(r.Context(), mfa.Identity{Name: v.User, UID: v.UID})
			answers = err == nil
		}
		return out.item(v)
	})
}

// accountNames looks up the names of many accounts. It asks NSS only for those that plain
// does not answer.
type accountNames struct {
	plain nss.Plain
	look  func(ctx context.Context, uid uint32) (mfa.Identity, error)
}

// otherName returns the name of the account that has the uid of id, if that is another
// name, else "".
func (r accountNames) otherName(ctx context.Context, id mfa.Identity) (string, error) {
	if r.plain.Has(id) {
		return "", nil
	}
	is, err := r.look(ctx, id.UID)
	switch {
	case errors.Is(err, nss.ErrNoAccount), errors.Is(err, nss.ErrContradiction):
		return "", nil
	case err != nil || is == id:
		return "", err
	}
	return is.Name, nil
}
