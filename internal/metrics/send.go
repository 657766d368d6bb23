package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// Results of messages.
const (
	sent   = "sent"
	failed = "failed"
)

// Sends returns a Sender that sends by s and counts each message: its result, its
// duration, and that it is on its way.
func (m *Metrics) Sends(s deliver.Sender) deliver.Sender { return countedSends{s, m} }

type countedSends struct {
	deliver.Sender
	m *Metrics
}

// Send implements deliver.Sender.
func (c countedSends) Send(ctx context.Context, msg mfa.Message) error {
	carrier, began := string(msg.Carrier), time.Now()
	pending := c.m.sendsPending.WithLabelValues(carrier)
	pending.Inc()
	defer pending.Dec()
	err := c.Sender.Send(context.WithValue(ctx, attemptsKey{}, &attempts{}), msg)
	result := sent
	if err != nil {
		result = failed
	}
	c.m.sends.WithLabelValues(carrier, result).Inc()
	c.m.sendTime.WithLabelValues(carrier, result).Observe(time.Since(began).Seconds())
	return err
}

// Attempts returns a Sender that sends by s and counts each call as one attempt. The
// Sender that tries again wraps it, and Sends wraps that one.
func (m *Metrics) Attempts(s deliver.Sender) deliver.Sender { return countedAttempts{s, m} }

type countedAttempts struct {
	deliver.Sender
	m *Metrics
}

// attempts of one message; Sends puts it into the context.
type attempts struct {
	mu   sync.Mutex // guards made
	made int
}

type attemptsKey struct{}

// again counts an attempt and says whether it is not the first.
func (a *attempts) again() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	return a.made > 1
}

// Send implements deliver.Sender.
func (c countedAttempts) Send(ctx context.Context, msg mfa.Message) error {
	carrier := string(msg.Carrier)
	if a, ok := ctx.Value(attemptsKey{}).(*attempts); ok && a.again() {
		c.m.sendRetries.WithLabelValues(carrier).Inc()
	}
	err := c.Sender.Send(ctx, msg)
	result := "taken"
	switch {
	case errors.Is(err, deliver.ErrPermanent):
		result = "refused"
	case err != nil:
		result = "deferred"
	}
	c.m.sendAttempts.WithLabelValues(carrier, result).Inc()
	return err
}
