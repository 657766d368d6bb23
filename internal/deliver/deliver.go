// Package deliver has messages to people: their texts, the queue and the retries that
// send them, the configuration of their carriers, and how an address or a number is read
// and masked. The carriers are rooms beneath it.
//
// What to know before trusting it: Send returns nil only when the next hop took
// the message; that is not yet the inbox. An error never holds the text of a
// message or a password.
package deliver

import (
	"context"
	"errors"

	"mfa/internal/mfa"
)

// ErrPermanent is wrapped by errors after which another attempt is useless: an address
// the relay refuses, a certificate that does not verify, a password it rejects.
var ErrPermanent = errors.New("permanent")

// Sender sends one message. Send returns nil when the next hop took it, else an error,
// at the latest when ctx ends. An error that wraps ErrPermanent is not retried. It may be
// called from many goroutines.
type Sender interface {
	Send(ctx context.Context, m mfa.Message) error
}
