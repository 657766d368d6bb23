package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/sms"
	"mfa/internal/deliver/smtp"
	"mfa/internal/mfa"
)

// Carriers are the Sender that stays while configurations come and go: each
// attempt takes the way that is configured when it is made. So a reload loses no
// message, and mends one that waits for its next attempt.
type carriers struct {
	email atomic.Pointer[smtp.Email]
	sms   atomic.Pointer[sms.SMS]
	log   *slog.Logger
}

// errNoTexts: [sms] chose nobody to carry them.
var errNoTexts = deliver.Permanent(errors.New("no text messages are set up: sms.provider is empty"))

// Send implements deliver.Sender with one attempt.
func (c *carriers) Send(ctx context.Context, m mfa.Message) error {
	for {
		way, current := c.way(m.Carrier)
		if way == nil {
			return errNoTexts
		}
		err := way.Send(ctx, m)
		if errors.Is(err, deliver.ErrClosed) && !current() {
			continue // replaced in between
		}
		if err != nil && !errors.Is(err, deliver.ErrPermanent) {
			c.log.Warn("message not taken yet; it will be tried again", "carrier", m.Carrier, "message", m.ID, "error", err)
		}
		return err
	}
}

// way returns what carries a method's messages, nil if nothing does. Current says
// whether it still does.
func (c *carriers) way(m mfa.Method) (way deliver.Sender, current func() bool) {
	if m != mfa.SMS {
		email := c.email.Load()
		return email, func() bool { return c.email.Load() == email }
	}
	sms := c.sms.Load()
	if sms == nil {
		return nil, nil
	}
	return sms, func() bool { return c.sms.Load() == sms }
}

// textPatience is how long a text message is tried before its code goes by email:
// while the person still waits.
const textPatience = 15 * time.Second

// hurried gives text messages less time than their sender was given.
type hurried struct{ deliver.Sender }

// Send implements deliver.Sender.
func (h hurried) Send(ctx context.Context, m mfa.Message) error {
	if m.Carrier == mfa.SMS {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, textPatience)
		defer cancel()
	}
	return h.Sender.Send(ctx, m)
}
