package deliver

import (
	"context"
	"regexp"
)

type receiptKey struct{}

// WithReceipt has the carrier that takes a message under the context returned
// write into receipt what the next hop calls it: Twilio's message SID, a relay's
// queue ID. It does so before Send returns nil, and leaves receipt alone when
// the next hop gives the message no name.
func WithReceipt(ctx context.Context, receipt *string) context.Context {
	return context.WithValue(ctx, receiptKey{}, receipt)
}

// setReceipt gives a name to whoever waits for one.
func setReceipt(ctx context.Context, name string) {
	if into, ok := ctx.Value(receiptKey{}).(*string); ok && name != "" {
		*into = name
	}
}

// queueIDs find the name of a message in what relays say when they take it:
// "Ok: queued as 4ABC", "OK id=1sXy12-0000001-AB", "4ABC Message accepted for
// delivery".
var queueIDs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bqueued as ([\w.-]{1,64})`),
	regexp.MustCompile(`(?i)\bid=([\w.-]{1,64})`),
	regexp.MustCompile(`(?i)([\w.-]{1,64}) Message accepted for delivery`),
}

// queueID returns the relay's name of a message it took with these words, or
// nothing.
func queueID(said string) string {
	for _, re := range queueIDs {
		if m := re.FindStringSubmatch(said); m != nil {
			return m[1]
		}
	}
	return ""
}
