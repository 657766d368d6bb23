package login

import (
	"context"

	"mfa/internal/mfa"
)

// A Lookup returns the account that NSS has for a name from outside. Its
// error wraps nss.ErrNoAccount when there is surely none; any other error means
// that NSS could not say, which never counts as "no account". It may be called from many
// goroutines.
type Lookup func(ctx context.Context, name string) (mfa.Identity, error)

// Groups looks up groups. It may be used from many goroutines. An error that does not
// wrap nss.ErrNoGroup means that NSS could not say, which never counts as "not a
// member".
type Groups interface {
	// ID returns the number of the group of that name. Its error wraps
	// nss.ErrNoGroup when there is surely none.
	ID(ctx context.Context, name string) (uint32, error)
	// Of returns the numbers of the groups that the account is in, the primary
	// one included. The caller changes nothing in them.
	Of(ctx context.Context, account string) ([]uint32, error)
	// Whole returns nil if the answer of Of is sure to be complete as to that group, else
	// an error that says why it may not be.
	Whole(ctx context.Context, account, group string) error
}
