package deliver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"

	"mfa/internal/mfa"
)

// A Carrier is a Sender that gives back what it holds when it is closed, after the
// attempts under way. What it is handed then fails with ErrClosed.
type Carrier interface {
	Sender
	io.Closer
}

// Carriers are those of one configuration.
type Carriers struct {
	Email Carrier
	SMS   Carrier // of calls too; nil: there are no text messages
}

// errNoTexts: [sms] chose nobody to carry them.
var errNoTexts = Permanent(errors.New("no text messages are set up: sms.provider is empty"))

// Of returns what carries the messages of a method. The error is permanent.
func (c Carriers) Of(m mfa.Method) (Carrier, error) {
	switch {
	case !m.Rings():
		return c.Email, nil
	case c.SMS == nil:
		return nil, errNoTexts
	}
	return c.SMS, nil
}

// Close closes the carriers that there are.
func (c Carriers) Close() error {
	var errs []error
	for _, carrier := range []Carrier{c.Email, c.SMS} {
		if carrier != nil {
			errs = append(errs, carrier.Close())
		}
	}
	return errors.Join(errs...)
}

// Current is the Sender that stays while configurations come and go: each attempt takes
// the carrier that is configured when it is made. So a reload loses no message, and mends
// one that waits for its next attempt. Use comes before Send. It may be used from many
// goroutines.
type Current struct {
	Log *slog.Logger

	carriers atomic.Pointer[Carriers]
}

// Use makes c what carries messages from now on. It closes nothing.
func (s *Current) Use(c Carriers) { s.carriers.Store(&c) }

// Send implements Sender with one attempt.
func (s *Current) Send(ctx context.Context, m mfa.Message) error {
	for {
		now := s.carriers.Load()
		carrier, err := now.Of(m.Carrier)
		if err != nil {
			return err
		}
		err = carrier.Send(ctx, m)
		if errors.Is(err, ErrClosed) && s.carriers.Load() != now {
			continue // replaced in between
		}
		if err != nil && !errors.Is(err, ErrPermanent) {
			s.Log.Warn("message not taken yet; it will be tried again", "carrier", m.Carrier, "message", m.ID, "error", err)
		}
		return err
	}
}
