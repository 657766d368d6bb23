package store

import "context"

type keptKey struct{}

// WithKept returns ctx for what may be decided by records that this host has kept, while the
// store of a fleet cannot be reached: a login. Without it such a store is asked, and its
// ErrUnreachable stands.
func WithKept(ctx context.Context) context.Context { return context.WithValue(ctx, keptKey{}, true) }

// MayUseKept says whether ctx is one of WithKept.
func MayUseKept(ctx context.Context) bool {
	may, _ := ctx.Value(keptKey{}).(bool)
	return may
}
