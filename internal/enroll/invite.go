package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

var (
	// ErrConfirmed means that no address of the user waits for its confirmation.
	ErrConfirmed = errors.New("nothing is left to confirm")
	// ErrTooSoon means that a message of the kind went there a moment ago.
	ErrTooSoon = errors.New("sent a moment ago")
)

// inviteEvery is how often one address is told, at most.
const inviteEvery = 5 * time.Minute

// Invite tells the address, or the number, that was entered for id and is not
// confirmed yet that the next login confirms it. It returns while the message is under
// way, with the masked address. At most one message in five minutes goes to one address:
// that is stored before sending, so it holds across restarts; a message that could not be
// sent does not count. The error wraps ErrNotEnrolled, ErrConfirmed, ErrTooSoon, or for a
// text message spend.ErrLimit.
func (s *Service) Invite(ctx context.Context, id mfa.Identity, actor string) (to string, under *deliver.Sending, err error) {
	en, err := s.enrollment(ctx, id)
	if err != nil {
		return "", nil, err
	}
	method, contact := unconfirmed(en)
	if contact == nil || en.Generation < s.generation() {
		return "", nil, fmt.Errorf("user %q: %w", id.Name, ErrConfirmed)
	}
	acct := s.Accounts.Records().Account(id)
	sent := mfa.Invitation{To: contact.Address, Sent: s.Now().UTC().Truncate(time.Second)}
	err = acct.Update(ctx, func(st *mfa.State) error {
		if last := st.Invited; last != nil && last.To == sent.To && sent.Sent.Sub(last.Sent).Abs() < inviteEvery {
			return fmt.Errorf("user %q: %w; next in %v", id.Name, ErrTooSoon, inviteEvery-sent.Sent.Sub(last.Sent).Abs())
		}
		st.Invited = &sent
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	under, err = s.Accounts.Invite(ctx, id, method, sent.To, actor, func(err error) {
		if err != nil {
			s.uninvite(id, sent)
		}
	})
	if err != nil {
		s.uninvite(id, sent)
	}
	return deliver.Mask(sent.To), under, err
}

// unconfirmed returns the first address that is not confirmed; nil if there is none.
func unconfirmed(en mfa.Enrollment) (mfa.Method, *mfa.Address) {
	for _, m := range []mfa.Method{mfa.Email, mfa.SMS} {
		if a := en.Contact(m); a != nil && a.Confirmed.IsZero() {
			return m, a
		}
	}
	return "", nil
}

// uninviteTimeout bounds the write after a message that was not delivered.
const uninviteTimeout = 10 * time.Second

// uninvite drops the note of a message that was not delivered.
func (s *Service) uninvite(id mfa.Identity, sent mfa.Invitation) {
	ctx, cancel := context.WithTimeout(context.Background(), uninviteTimeout)
	defer cancel()
	err := s.Accounts.Records().Account(id).Update(ctx, func(st *mfa.State) error {
		if st.Invited != nil && st.Invited.To == sent.To && st.Invited.Sent.Equal(sent.Sent) {
			st.Invited = nil
		}
		return nil
	})
	if err != nil {
		s.Log.Error("confirmation that was not delivered counts as sent", "user", id.Name, "error", err)
	}
}
