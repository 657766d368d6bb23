package sms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twilio/twilio-go/client"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// Message statuses after which nothing changes
// (https://www.twilio.com/docs/messaging/api/message-resource#message-status-values).
const (
	twilioDelivered   = "delivered"
	twilioRead        = "read"
	twilioUndelivered = "undelivered"
	twilioFailed      = "failed"
	twilioCanceled    = "canceled"
)

// fate implements teller with the Message and the Call resource.
func (t *twilio) fate(ctx context.Context, m mfa.Message, sid string) (fate, error) {
	if strings.ContainsFunc(sid, func(r rune) bool { return !deliver.IsWord(r) }) {
		return fate{}, deliver.Permanent(fmt.Errorf("twilio: %q is no message SID", sid))
	}
	ctx, cancel := withTimeout(ctx, t.timeout)
	defer cancel()
	if m.Carrier == mfa.Call {
		return t.callFate(ctx, m, sid)
	}
	made, err := t.service(ctx, m, http.StatusOK).FetchMessage(sid, nil)
	if err != nil {
		return fate{}, fmt.Errorf("twilio: %w", err)
	}
	switch status := value(made.Status); status {
	case twilioDelivered, twilioRead:
		return fate{over: true}, nil
	case twilioUndelivered, twilioFailed, twilioCanceled:
		return fate{over: true, failed: t.lost(m, status, made.ErrorCode)}, nil
	}
	return fate{}, nil
}

// lost returns the error of a message that did not arrive, for the log, marked by how it
// can be mended.
func (t *twilio) lost(m mfa.Message, status string, code *int) error {
	if code == nil || *code == 0 {
		return errors.New("twilio: the message is " + status)
	}
	return fmt.Errorf("twilio: %w", t.refusal(answer{status: http.StatusBadRequest}, m,
		client.TwilioRestError{Code: *code, Message: "the message is " + status}))
}
