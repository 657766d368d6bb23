// Package enroll is the life of an enrollment: an administrator's entry, what is
// shown of it, and its end.
//
// What to know before trusting it: an enrollment names the account by uid as
// well as by name, so it dies with the account. A change of address ends the
// codes that were sent to the old one; a reset clears everything of one user
// and nothing of anybody else's.
package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// ErrNotEnrolled means that there is no enrollment of that user.
var ErrNotEnrolled = errors.New("not enrolled")

// ErrInvalid is wrapped by errors about what was entered; the text is for the
// person who entered it.
var ErrInvalid = errors.New("invalid")

// Service changes and shows enrollments. It may be used from many goroutines.
type Service struct {
	Records store.Records
	Asker   *challenge.Asker
	Audit   *audit.Log
	Log     *slog.Logger
	Now     func() time.Time

	TOTP        challenge.TOTPConfig // for new setups
	QR          string               // prompt.qr
	Host        string
	BackupCodes int // in a set
	Generation  int // of enrollments made now
}

// SetEmail makes address the one that codes for id go to. It counts as confirmed
// once a code sent there was typed back. Actor is who entered it.
func (s *Service) SetEmail(ctx context.Context, id mfa.Identity, address, actor string) error {
	address, err := parseAddress(address)
	if err != nil {
		return err
	}
	var before, after mfa.Enrollment
	err = s.Records.UpdateEnrollment(ctx, id.Name, func(en *mfa.Enrollment) error {
		before = s.starting(en, id)
		defer func() { after = *en }()
		en.UID, en.Generation, en.Skipped = id.UID, s.Generation, nil
		if en.Email != nil && en.Email.Address == address {
			return nil // keeps its confirmation
		}
		en.Email = &mfa.Address{Address: address, AddedBy: actor}
		return nil
	})
	if err != nil {
		return err
	}
	s.Audit.Record(audit.Event{
		Time: s.Now(), Event: audit.Enrolled, User: id.Name, UID: &id.UID,
		Method: string(mfa.Email), To: deliver.Mask(address), Actor: actor, Reason: "address entered",
	})
	if before.Fingerprint() != after.Fingerprint() {
		s.forget(ctx, id, actor)
	}
	if before.Email != nil && before.Email.Address != address {
		s.byAdministrator(id).Notify(before, "Second factor changed",
			"Codes by email now go to "+deliver.Mask(address)+", by an administrator.", adviceAsk)
	}
	return nil
}

// starting empties what does not count any more: an enrollment of a former
// account of the name, or from before everybody had to enroll anew. It returns
// what is left.
func (s *Service) starting(en *mfa.Enrollment, id mfa.Identity) mfa.Enrollment {
	if en.UID != id.UID || en.Generation < s.Generation {
		*en = mfa.Enrollment{}
	}
	return *en
}

const adviceAsk = "If that surprises you, ask your administrator."

// byAdministrator is a conversation in which nobody is asked.
func (s *Service) byAdministrator(id mfa.Identity) *challenge.Conversation {
	return s.Asker.Converse(s.Records.Account(id), mfa.Origin{Service: "mfactl", Address: "local"}, nil)
}

// parseAddress returns the bare address of RFC 5322, section 3.4.1.
func parseAddress(s string) (string, error) {
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return "", fmt.Errorf("%w email address %q: want one like alice@example.com", ErrInvalid, s)
	}
	return s, nil
}

// Reset clears the enrollment and the state of user: failures, lock, codes. It
// says whether there was an enrollment. A record that does not parse is cleared too.
func (s *Service) Reset(ctx context.Context, user, actor string) (wasEnrolled bool, err error) {
	before, err := s.Records.Enrollment(ctx, user)
	wasEnrolled = !errors.Is(err, store.ErrNotFound)
	if err := s.Records.ResetUser(ctx, user); err != nil {
		return false, err
	}
	s.Audit.Record(audit.Event{Time: s.Now(), Event: audit.ResetUser, User: user, Actor: actor})
	s.byAdministrator(mfa.Identity{Name: user, UID: before.UID}).Notify(before, "Second factor removed",
		"Your second factor was reset by an administrator.", adviceAsk)
	return wasEnrolled, nil
}

// A View is what is shown of a user. Addresses are masked.
type View struct {
	User           string     `json:"user"`
	UID            uint32     `json:"uid"`
	Email          string     `json:"email,omitempty"`
	EmailConfirmed *time.Time `json:"email_confirmed,omitempty"`
	EmailAddedBy   string     `json:"email_added_by,omitempty"`
	TOTP           *time.Time `json:"totp,omitempty"`        // when the app was set up
	BackupLeft     *int       `json:"backup_left,omitempty"` // codes that are not used
	Preferred      mfa.Method `json:"preferred,omitempty"`
	Skipped        *time.Time `json:"skipped,omitempty"`  // when the user chose to have no second factor
	Outdated       bool       `json:"outdated,omitempty"` // must enroll anew, after policy.mode was off
	Failures       int        `json:"failures"`
	Locked         bool       `json:"locked"`
	LockedUntil    *time.Time `json:"locked_until,omitempty"` // absent while locked: until unlocked
	PendingCodes   int        `json:"pending_codes"`          // sent, unused and not expired
	CodesSent      int        `json:"codes_sent"`             // that count against code.max_sends
}

// enrollment returns that of id, or an error wrapping ErrNotEnrolled.
func (s *Service) enrollment(ctx context.Context, id mfa.Identity) (mfa.Enrollment, error) {
	en, err := s.Records.Enrollment(ctx, id.Name)
	if errors.Is(err, store.ErrNotFound) || err == nil && en.UID != id.UID {
		return mfa.Enrollment{}, fmt.Errorf("user %q is %w", id.Name, ErrNotEnrolled)
	}
	return en, err
}

// OptOut remembers that the user wants no second factor, and drops what was set
// up. Whether that counts is policy's. It is told by mail where mail went.
func (s *Service) OptOut(ctx context.Context, c *challenge.Conversation) error {
	id, now := c.Account.ID, s.Now().UTC().Truncate(time.Second)
	var before mfa.Enrollment
	err := s.Records.UpdateEnrollment(ctx, id.Name, func(en *mfa.Enrollment) error {
		before = s.starting(en, id)
		*en = mfa.Enrollment{UID: id.UID, Generation: s.Generation, Skipped: &now}
		return nil
	})
	if err != nil {
		return err
	}
	ev := c.Event(audit.OptedOut)
	ev.Actor = id.Name
	s.Audit.Record(ev)
	s.forget(ctx, id, id.Name)
	c.Notify(before, "Second factor removed", "Your second factor was removed, by your own choice.", adviceChanged)
	return nil
}

// Prefer makes m, which the user must have, the method that is offered first.
func (s *Service) Prefer(ctx context.Context, c *challenge.Conversation, m mfa.Method) error {
	id := c.Account.ID
	err := s.Records.UpdateEnrollment(ctx, id.Name, func(en *mfa.Enrollment) error {
		if en.UID != id.UID || !en.Enrolled() {
			return fmt.Errorf("user %q is %w", id.Name, ErrNotEnrolled)
		}
		if !en.Has(m) {
			return fmt.Errorf("%w method %q: it is not set up", ErrInvalid, m)
		}
		en.Preferred = m
		return nil
	})
	if err != nil {
		return err
	}
	ev := c.Event(audit.Enrolled)
	ev.Method, ev.Actor, ev.Reason = string(m), id.Name, "preferred method"
	s.Audit.Record(ev)
	return nil
}

// Show returns what is known of id, or an error wrapping ErrNotEnrolled.
func (s *Service) Show(ctx context.Context, id mfa.Identity) (View, error) {
	en, err := s.enrollment(ctx, id)
	if err != nil {
		return View{}, err
	}
	st, err := s.Records.State(ctx, id.Name)
	if err != nil {
		return View{}, err
	}
	v := View{
		User: id.Name, UID: id.UID, Preferred: en.Preferred, Skipped: en.Skipped,
		Outdated: en.Generation < s.Generation,
	}
	if en.TOTP != nil {
		v.TOTP = &en.TOTP.Confirmed
	}
	if st.UID != id.UID {
		st = mfa.State{}
	}
	if en.Backup != nil {
		left := challenge.BackupLeft(st, *en.Backup)
		v.BackupLeft = &left
	}
	if en.Email != nil {
		v.Email, v.EmailAddedBy = deliver.Mask(en.Email.Address), en.Email.AddedBy
		if !en.Email.Confirmed.IsZero() {
			v.EmailConfirmed = &en.Email.Confirmed
		}
	}
	now := s.Now()
	v.Failures, v.CodesSent = len(st.Failures), len(st.Sends)
	_, hard, locked := st.Locked(now)
	if v.Locked = locked; locked && !hard {
		v.LockedUntil = st.LockedUntil
	}
	for _, p := range st.Pending {
		if now.Before(p.Expires) {
			v.PendingCodes++
		}
	}
	return v, nil
}
