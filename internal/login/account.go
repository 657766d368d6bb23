package login

import (
	"context"

	"mfa/internal/mfa"
)

// A Lookup turns a name from outside into the account that NSS knows by it. Its
// error wraps nss.ErrNoAccount when there is surely none; any other error means
// that NSS could not say, which never counts as "no account".
type Lookup func(ctx context.Context, name string) (mfa.Identity, error)

// Groups is what is asked about groups. It may be used from many goroutines. An
// error that does not wrap nss.ErrNoGroup means that nobody could say, which never
// counts as "not a member".
type Groups interface {
	// ID returns the number of the group of that name. Its error wraps
	// nss.ErrNoGroup when there is surely none.
	ID(ctx context.Context, name string) (uint32, error)
	// Of returns the numbers of the groups that the account is in, the primary
	// one included. The caller changes nothing in them.
	Of(ctx context.Context, account string) ([]uint32, error)
	// Whole returns nil if Of can have left out no membership of the account in
	// the group.
	Whole(ctx context.Context, account, group string) error
}
