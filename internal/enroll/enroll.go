// Package enroll changes and shows enrollments: setups by users, entries by
// administrators, imports, backup codes, backup and restore, opting out and reset.
//
// What to know before trusting it: an enrollment names the account by uid as
// well as by name, so it does not count for another account of that name. A change of
// address ends the codes that were sent to the old one; a reset clears everything of one
// user and nothing of anybody else's.
package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// ErrNotEnrolled means that there is no enrollment of that user.
var ErrNotEnrolled = errors.New("not enrolled")

// ErrInvalid is wrapped by errors about what was entered; the text is for the
// person who entered it.
var ErrInvalid = errors.New("invalid")

// Service changes and shows enrollments. It may be used from many goroutines.
type Service struct {
	Accounts *account.Accounts
	Audit    *audit.Log
	Log      *slog.Logger
	Now      func() time.Time

	TOTP        challenge.TOTPConfig // for new setups
	QR          string               // prompt.qr
	Host        string
	BackupCodes int      // in a set
	Regions     []string // whose phone numbers are allowed; empty: all
}

// SetContact makes address, or the number in E.164, the one that codes of the
// method m, Email or SMS, go to. It counts as confirmed once a code sent there
// was typed back. Actor is the administrator. An error about address wraps
// ErrInvalid.
func (s *Service) SetContact(ctx context.Context, id mfa.Identity, m mfa.Method, address, actor string) error {
	entered := address
	address, err := s.parseContact(m, entered)
	if err != nil {
		return fmt.Errorf("%q: %w", entered, err)
	}
	_, _, err = s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			if old := en.Contact(m); old == nil || old.Address != address { // else it keeps its confirmation
				en.SetContact(m, &mfa.Address{Address: address, AddedBy: actor})
			}
			return nil
		},
		Anew:  m,
		Event: mfa.Event{Event: audit.Enrolled, Method: string(m), To: deliver.Mask(address), Actor: actor, Reason: "address entered"},
		Notice: account.Notice{
			Subject: text.Of(subjectChanged), Advice: text.Of(adviceAsk),
			What: text.Of(goTo[m].entered, deliver.Mask(address)),
		},
	})
	return err
}

// A going says where codes of a method go now, by the user or by an administrator.
type going struct{ own, entered string }

var goTo = map[mfa.Method]going{
	mfa.Email: {own: "Codes by email now go to %s.", entered: "Codes by email now go to %s, by an administrator."},
	mfa.SMS:   {own: "Codes by text message now go to %s.", entered: "Codes by text message now go to %s, by an administrator."},
	mfa.Call:  {own: "Codes by phone call now go to %s.", entered: "Codes by phone call now go to %s, by an administrator."},
}

const (
	subjectChanged = "Second factor changed"
	subjectRemoved = "Second factor removed"
	adviceAsk      = "If that surprises you, ask your administrator."
)

// parseContact returns the bare address of RFC 5322, section 3.4.1, or the number
// in E.164. An error wraps ErrInvalid and is for the person who typed it.
func (s *Service) parseContact(m mfa.Method, typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if m.Rings() {
		number, err := deliver.ParsePhone(typed, s.Regions)
		if err != nil {
			return "", invalidf("%s.", WrongOf(err))
		}
		return number, nil
	}
	switch {
	case !mfa.IsAddress(typed):
		return "", invalidf("That is not an address like alice@example.com.")
	case strings.Contains(typed, "***"): // of deliver.Mask, every character of which can stand in an address
		return "", invalidf("That is an address with its middle masked; give the whole address.")
	}
	return typed, nil
}

// invalid is an ErrInvalid with a sentence for the person who entered something.
type invalid struct{ text.Fault }

func invalidf(english string, args ...any) invalid {
	return invalid{text.Fault{Sentence: text.Of(english, args...)}}
}

// WrongOf returns the sentence of an error for the person, or its text.
func WrongOf(err error) text.Sentence {
	if typed, ok := errors.AsType[invalid](err); ok {
		return typed.Sentence
	}
	if fault, ok := errors.AsType[text.Fault](err); ok {
		return fault.Sentence
	}
	return text.Of(err.Error())
}

func (e invalid) Is(target error) bool { return target == ErrInvalid }

// Reset clears the enrollment and the state of user, and ends their conversations; see
// account.Records.ResetUser. It returns whether there was an enrollment. A record that
// does not parse is cleared too. Actor is the administrator.
func (s *Service) Reset(ctx context.Context, user, actor string) (wasEnrolled bool, err error) {
	defer s.Accounts.Hold(user)()
	before, err := s.Accounts.Records().Enrollment(ctx, user)
	wasEnrolled = !errors.Is(err, store.ErrNotFound)
	if err := s.Accounts.Records().ResetUser(ctx, user, s.Now()); err != nil {
		return false, err
	}
	s.Accounts.EndConversations(user, text.Of("Your second factor was reset by an administrator. Log in again."), "reset by "+actor)
	s.Audit.Record(mfa.Event{Time: s.Now(), Event: audit.ResetUser, User: user, Actor: actor})
	s.Accounts.ByAdministrator(mfa.Identity{Name: user, UID: before.UID}).Notify(before, account.Notice{
		Subject: text.Of(subjectRemoved), What: text.Of("Your second factor was reset by an administrator."), Advice: text.Of(adviceAsk),
	})
	return wasEnrolled, nil
}

func viewApart(t *mfa.FailureCounts, now time.Time) *wire.Apart {
	if t == nil {
		return nil
	}
	_, hard, locked := t.Locked(now)
	a := &wire.Apart{Failures: len(t.Failures), Locked: locked}
	if locked && !hard {
		a.LockedUntil = t.LockedUntil
	}
	return a
}

// enrollment returns that of id, or an error wrapping ErrNotEnrolled.
func (s *Service) enrollment(ctx context.Context, id mfa.Identity) (mfa.Enrollment, error) {
	en, err := s.Accounts.Records().Enrollment(ctx, id.Name)
	if errors.Is(err, store.ErrNotFound) || err == nil && en.UID != id.UID {
		return mfa.Enrollment{}, fmt.Errorf("user %q is %w", id.Name, ErrNotEnrolled)
	}
	return en, err
}

// OptOut stores that the user wants no second factor, and drops what was set up. The
// caller checks that the policy allows it. A confirmed address is told by mail.
func (s *Service) OptOut(ctx context.Context, u *account.User) error {
	id, now := u.Account.ID, s.Now().UTC().Truncate(time.Second)
	_, _, err := u.Change(ctx, account.Change{
		Edit: func(en *mfa.Enrollment) error {
			*en = mfa.Enrollment{UID: id.UID, Generation: s.generation(), Skipped: &now, Language: en.Language}
			return nil
		},
		Tidy:   func(st *mfa.State) { st.Enrolling = nil },
		Event:  mfa.Event{Event: audit.OptedOut, Actor: id.Name},
		Notice: account.Notice{Subject: text.Of(subjectRemoved), What: text.Of("Your second factor was removed, by your own choice."), Advice: text.Of(adviceChanged)},
	})
	return err
}

// Prefer makes m the method that is offered first. The error wraps ErrInvalid if the user
// does not have m, ErrNotEnrolled if they have none.
func (s *Service) Prefer(ctx context.Context, u *account.User, m mfa.Method) error {
	id := u.Account.ID
	known, err := s.knowing(ctx, u)
	if err != nil {
		return err
	}
	_, _, err = u.Change(ctx, account.Change{
		Edit: func(en *mfa.Enrollment) error {
			has, err := known(en)
			if err != nil {
				return err
			}
			if !has.Has(m) {
				return fmt.Errorf("%w method %q: it is not set up", ErrInvalid, m)
			}
			en.Preferred = m
			return nil
		},
		Minor: true,
		Event: mfa.Event{Event: audit.Enrolled, Method: string(m), Actor: id.Name, Reason: "preferred method"},
	})
	return err
}

// Confirm notes that the user has what codes of m are for: the address, or the app or
// token with that sealed secret. If it is not there any more, nothing is noted.
func (s *Service) Confirm(ctx context.Context, u *account.User, m mfa.Method, of string) error {
	now, to := s.Now().UTC().Truncate(time.Second), ""
	if m == mfa.Email || m == mfa.SMS {
		to = deliver.Mask(of)
	}
	_, _, err := u.Change(ctx, account.Change{
		Minor: true,
		Edit: func(en *mfa.Enrollment) error {
			switch a := en.Contact(m); {
			case a != nil && a.Address == of:
				a.Confirmed = now
			case m == mfa.TOTP && en.TOTP != nil && en.TOTP.Secret == of:
				en.TOTP.Confirmed = now
			case m == mfa.HOTP && en.HOTP != nil && en.HOTP.Secret == of:
				en.HOTP.Confirmed = now
			default:
				return account.ErrChanged
			}
			return nil
		},
		Event: mfa.Event{Event: audit.Enrolled, Method: string(m), To: to, Reason: "confirmed by a code"},
	})
	if errors.Is(err, account.ErrChanged) {
		return nil
	}
	return err
}

// Show returns what is known of id, with addresses masked, or an error wrapping
// ErrNotEnrolled.
func (s *Service) Show(ctx context.Context, id mfa.Identity) (wire.User, error) {
	return s.lookUp(ctx, id, false)
}

// view returns what is shown of the records. St is as it is stored, not bounded.
func (s *Service) view(id mfa.Identity, en mfa.Enrollment, st mfa.State) wire.User {
	if st.UID != id.UID {
		st = mfa.State{}
	}
	en = s.Accounts.Known(id, en, s.Accounts.Records().Bounded(st))
	v := wire.User{
		User: id.Name, UID: id.UID, Methods: methods(en), Preferred: en.Preferred, Skipped: en.Skipped, Language: en.Language,
		Outdated: en.Generation < s.generation(), Directory: s.Accounts.DirectoryView(en, s.Accounts.Records().Bounded(st)),
	}
	if en.TOTP != nil {
		v.TOTP, v.TOTPUnconfirmed = &en.TOTP.Confirmed, en.TOTP.Confirmed.IsZero()
	}
	v.Ahead = s.Accounts.Ahead(st, en, s.Now())
	st = s.Accounts.Records().Bounded(st)
	if en.Backup != nil {
		left := factor.BackupLeft(st, *en.Backup, s.Now())
		v.BackupLeft, v.BackupVoid = &left, factor.Forgotten(st, *en.Backup, s.Now())
	}
	v.HOTP = s.viewToken(id, en.HOTP, st)
	v.Email, v.EmailConfirmed, v.EmailAddedBy = viewContact(en.Email)
	v.Phone, v.PhoneConfirmed, v.PhoneAddedBy = viewContact(en.SMS)
	now := s.Now()
	v.Failures, v.CodesSent = len(st.Failures), len(st.Sends)
	_, hard, locked := st.Locked(now)
	if v.Locked = locked; locked && !hard {
		v.LockedUntil = st.LockedUntil
	}
	if locked {
		v.LockedBy = st.LockedBy
		v.Recoverable = st.Recovery != nil && now.Before(st.Recovery.Expires)
	}
	v.Apart = viewApart(st.Apart, now)
	for m := range st.MethodFailures {
		if st.Disabled(m) && en.Has(m) {
			v.Disabled = append(v.Disabled, m)
		}
	}
	slices.Sort(v.Disabled)
	v.MustChangePassword = st.MustChangePassword
	for _, p := range st.Pending {
		if now.Before(p.Expires) {
			v.PendingCodes++
		}
	}
	return v
}

// viewContact returns what is shown of an address.
func viewContact(a *mfa.Address) (masked string, confirmed *time.Time, addedBy string) {
	if a == nil {
		return "", nil, ""
	}
	if !a.Confirmed.IsZero() {
		confirmed = &a.Confirmed
	}
	return deliver.Mask(a.Address), confirmed, a.AddedBy
}

// generation returns the generation of enrollments made now.
func (s *Service) generation() int { return s.Accounts.Config().Generation }
