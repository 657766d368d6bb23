package deliver

import (
	"context"
)

type receiptKey struct{}

// WithReceipt has the carrier that takes a message under the context returned
// write into receipt what the next hop calls it: Twilio's message SID, a relay's
// queue ID. It does so before Send returns nil, and leaves receipt alone when
// the next hop gives the message no name.
func WithReceipt(ctx context.Context, receipt *string) context.Context {
	return context.WithValue(ctx, receiptKey{}, receipt)
}

// SetReceipt gives a name to whoever waits for one.
func SetReceipt(ctx context.Context, name string) {
	if into, ok := ctx.Value(receiptKey{}).(*string); ok && name != "" {
		*into = name
	}
}
