package deliver

import (
	"context"
)

type receiptKey struct{}

// WithReceipt returns a context under which the carrier that sends a message writes into
// receipt the next hop's name of it: Twilio's message SID, a relay's queue ID. It does so
// before Send returns nil, and leaves receipt alone if the next hop gives no name.
func WithReceipt(ctx context.Context, receipt *string) context.Context {
	return context.WithValue(ctx, receiptKey{}, receipt)
}

// SetReceipt writes name into the receipt of ctx, if there is one and name is not empty.
func SetReceipt(ctx context.Context, name string) {
	if into, ok := ctx.Value(receiptKey{}).(*string); ok && name != "" {
		*into = name
	}
}
