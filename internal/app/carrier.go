package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// A carrier is the Sender that stays while configurations come and go: each
// attempt takes the way that is configured when it is made. So a reload loses no
// message, and mends one that waits for its next attempt.
type carrier struct {
	email atomic.Pointer[deliver.Email]
	log   *slog.Logger
}

// Send implements deliver.Sender with one attempt.
func (c *carrier) Send(ctx context.Context, m mfa.Message) error {
	for {
		email := c.email.Load()
		err := email.Send(ctx, m)
		if errors.Is(err, deliver.ErrClosed) && c.email.Load() != email {
			continue // replaced in between
		}
		if err != nil && !errors.Is(err, deliver.ErrPermanent) {
			c.log.Warn("mail not taken yet; it will be tried again", "message", m.ID, "error", err)
		}
		return err
	}
}
