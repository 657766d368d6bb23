package enroll

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// deaf is a carrier that nothing can be sent over.
type deaf struct{}

func (deaf) Send(context.Context, mfa.Message) error { return deliver.ErrPermanent }

// invite ends the test unless Invite ends with want and the sending as sent.
func invite(t *testing.T, s *Service, want, sent error) {
	t.Helper()
	to, under, err := s.Invite(t.Context(), alice, "root")
	if !errors.Is(err, want) {
		t.Fatalf("Invite: %v, want %v", err, want)
	}
	if err != nil {
		return
	}
	<-under.Done()
	if !errors.Is(under.Err(), sent) || to != "a***e@example.com" {
		t.Errorf("to %q: %v, want %v", to, under.Err(), sent)
	}
}

func TestInvite(t *testing.T) {
	s := newService(t)
	at := now
	s.Now = func() time.Time { return at }
	invite(t, s, ErrNotEnrolled, nil)
	if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	invite(t, s, nil, nil)
	invite(t, s, ErrTooSoon, nil)
	if err := s.SetContact(t.Context(), alice, mfa.Email, "alive@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	invite(t, s, nil, nil) // another address
	invite(t, s, ErrTooSoon, nil)
	at = at.Add(inviteEvery)
	invite(t, s, nil, nil)
	at = at.Add(-time.Hour) // a clock that was wrong keeps nobody from it
	invite(t, s, nil, nil)
	err := s.Accounts.Records().UpdateEnrollment(t.Context(), "alice", func(en *mfa.Enrollment) error { en.Email.Confirmed = now; return nil })
	if err != nil {
		t.Fatal(err)
	}
	at = at.Add(inviteEvery)
	invite(t, s, ErrConfirmed, nil)
}

// A message that nobody got does not keep the next one back.
func TestInviteThatIsNotDelivered(t *testing.T) {
	s := newService(t)
	mail := deliver.NewQueue(deaf{}, time.Minute)
	defer mail.Close(t.Context())
	s.Accounts = account.New(account.Config{}, account.Deps{
		Records: s.Accounts.Records(), Mail: mail, Audit: s.Audit, Log: slog.New(slog.DiscardHandler), Now: s.Now,
	})
	if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	invite(t, s, nil, deliver.ErrPermanent)
	invite(t, s, nil, deliver.ErrPermanent)
}
