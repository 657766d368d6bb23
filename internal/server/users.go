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
	accounts := roll{plain: nss.ReadPlain(), look: nss.LookupUID}
	answers := true
	return s.Enroll.Each(r.Context(), reveals(r), out.begin, func(v wire.User) error {
		if answers && v.Problem == "" {
			var err error
			v.Canonical, err = accounts.otherName(r.Context(), mfa.Identity{Name: v.User, UID: v.UID})
			answers = err == nil
		}
		return out.item(v)
	})
}

// A roll tells the names of many accounts. NSS is asked for those about which a file of
// the machine does not say all.
type roll struct {
	plain nss.Plain
	look  func(ctx context.Context, uid uint32) (mfa.Identity, error)
}

// otherName returns the name of the account that has the uid of id, if it is not that of
// id. Where that cannot be told, nobody is the account.
func (r roll) otherName(ctx context.Context, id mfa.Identity) (string, error) {
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
