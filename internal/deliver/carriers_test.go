package deliver

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// A cart is a Carrier in a test.
type cart struct {
	send   func() error
	closed bool
}

func (c *cart) Send(context.Context, mfa.Message) error { return c.send() }

func (c *cart) Close() error {
	c.closed = true
	return nil
}

// An attempt whose carrier was replaced meanwhile is made with the new one; an error of a
// carrier that still is the one stays what it is, and is written down if it may pass.
func TestCurrent(t *testing.T) {
	var log strings.Builder
	s := &Current{Log: slog.New(slog.NewTextHandler(&log, nil))}
	text, mail := mfa.Message{ID: "m1", Carrier: mfa.SMS}, mfa.Message{ID: "m2", Carrier: mfa.Email}
	sent := 0
	second := &cart{send: func() error { sent++; return nil }}
	first := &cart{send: func() error {
		s.Use(Carriers{Email: second, SMS: second})
		return ErrClosed
	}}
	s.Use(Carriers{Email: first})
	if err := s.Send(t.Context(), text); !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), "sms.provider is empty") {
		t.Errorf("a text message that nobody carries: %v", err)
	}
	for _, m := range []mfa.Message{mail, text} {
		if err := s.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	if sent != 2 {
		t.Errorf("%d messages went by the new carriers", sent)
	}
	second.send = func() error { return ErrClosed }
	if err := s.Send(t.Context(), mail); !errors.Is(err, ErrClosed) {
		t.Errorf("closed, and nothing in its place: %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("told of what does not pass: %s", &log)
	}
	busy := errors.New("451 busy")
	second.send = func() error { return busy }
	if err := s.Send(t.Context(), mail); !errors.Is(err, busy) || !strings.Contains(log.String(), "message=m2") {
		t.Errorf("%v, told %q", err, &log)
	}
}

func TestCarriersClose(t *testing.T) {
	email, texts := &cart{}, &cart{}
	if err := errors.Join(Carriers{Email: email}.Close(), Carriers{SMS: texts}.Close()); err != nil || !email.closed || !texts.closed {
		t.Errorf("%v; closed: %v, %v", err, email.closed, texts.closed)
	}
}
