package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"mfa/internal/deliver/spend"
	"mfa/internal/enroll"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// inviteWait is how long an answer waits for that of the mail server. It is below
// the time that a client waits for an answer.
const inviteWait = 5 * time.Second

// resend sends the message about an address that waits for its confirmation.
func (s exchange) resend(r *http.Request, actor string) (any, error) {
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	to, sending, err := s.Enroll.Invite(r.Context(), id, actor)
	switch {
	case errors.Is(err, enroll.ErrNotEnrolled):
		return nil, fault{http.StatusNotFound, err}
	case errors.Is(err, enroll.ErrConfirmed):
		return nil, fault{http.StatusConflict, err}
	case errors.Is(err, enroll.ErrTooSoon), errors.Is(err, spend.ErrLimit):
		return nil, fault{http.StatusTooManyRequests, err}
	case err != nil:
		return nil, err
	}
	late := time.NewTimer(inviteWait)
	defer late.Stop()
	underWay := true
	select {
	case <-sending.Done():
		underWay = false
	case <-late.C:
	case <-r.Context().Done():
	}
	if err := sending.Err(); err != nil {
		return nil, fault{http.StatusBadGateway, fmt.Errorf("the message to %s could not be sent: %w", to, err)}
	}
	return wire.Resent{User: id.Name, To: to, UnderWay: underWay}, nil
}

// invite sends the first such message. A failure is logged only: the address is entered.
func (s exchange) invite(r *http.Request, id mfa.Identity, actor string) {
	_, _, err := s.Enroll.Invite(r.Context(), id, actor)
	if err != nil && !errors.Is(err, enroll.ErrConfirmed) && !errors.Is(err, enroll.ErrTooSoon) {
		s.Log.Error("confirmation not sent", "user", id.Name, "error", err)
	}
}
