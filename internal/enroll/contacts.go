package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// Contacts is where the codes of one user shall go, as a list of many says. An address
// or a number that is empty stays as it is.
type Contacts struct {
	Email, Phone string
	Replace      bool // also in the place of what the user has confirmed
	DryRun       bool // change nothing, only say what would be
}

// A contactEntry is where codes of one method shall go.
type contactEntry struct {
	method mfa.Method
	to     string
}

// SetContacts makes in part of the enrollment of id, in one change, and says what became
// of each. What is there already stays as it is, so that it may be called again. Another
// address that the user has confirmed stays, unless it is to be replaced; one that nobody
// ever confirmed does not. Nobody is told but who was enrolled before. An error about
// what was entered wraps ErrInvalid; then nothing is changed.
func (s *Service) SetContacts(ctx context.Context, id mfa.Identity, in Contacts, actor string) (wire.ContactSet, error) {
	out := wire.ContactSet{User: id.Name}
	entries, err := s.entries(in)
	if err != nil {
		return out, err
	}
	en, err := s.Accounts.Records().Enrollment(ctx, id.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return out, err
	}
	out = setting(s.Accounts.CurrentEnrollment(en, id), id, entries, in.Replace)
	if in.DryRun || !out.Changes() {
		return out, nil
	}
	changed := changedBy(out, entries)
	_, _, err = s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			now := setting(*en, id, entries, in.Replace)
			now.Chosen = out.Chosen // Fresh has ended it
			if now != out {
				return fmt.Errorf("the enrollment of %q changed meanwhile; try again", id.Name)
			}
			for _, e := range changed {
				en.SetContact(e.method, &mfa.Address{Address: e.to, AddedBy: actor})
			}
			return nil
		},
		Anew: changed[0].method,
		Tidy: func(st *mfa.State) {
			for _, e := range changed[1:] {
				delete(st.MethodFailures, e.method)
			}
		},
		Event:  changed[0].event(actor),
		Notice: noticeOf(changed),
	})
	if err != nil {
		return out, err
	}
	for _, e := range changed[1:] {
		ev := e.event(actor)
		ev.Time, ev.User, ev.UID = s.Now(), id.Name, &id.UID
		s.Audit.Record(ev)
	}
	return out, nil
}

// entries reads what was entered, and says all that is wrong with it.
func (s *Service) entries(in Contacts) ([]contactEntry, error) {
	var entries []contactEntry
	var wrong []string
	for _, e := range []contactEntry{{mfa.Email, in.Email}, {mfa.SMS, in.Phone}} {
		if e.to == "" {
			continue
		}
		to, err := s.parseContact(e.method, e.to)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%q: %v", e.to, err))
		}
		entries = append(entries, contactEntry{e.method, to})
	}
	switch {
	case len(wrong) > 0:
		return nil, invalidf(strings.Join(wrong, " "))
	case len(entries) == 0:
		return nil, invalidf("There is neither an address nor a number.")
	}
	return entries, nil
}

// setting says what becomes of entries, for id who has en.
func setting(en mfa.Enrollment, id mfa.Identity, entries []contactEntry, replace bool) wire.ContactSet {
	out := wire.ContactSet{User: id.Name, Chosen: en.Skipped != nil}
	for _, e := range entries {
		result, old := wire.ImportedNew, en.Contact(e.method)
		switch {
		case old == nil:
		case old.Address == e.to:
			result = wire.ImportedUnchanged
		case !old.Confirmed.IsZero() && !replace:
			result = wire.ImportedKept
		default:
			result = wire.ImportedReplaced
		}
		*resultOf(&out, e.method) = result
	}
	return out
}

// resultOf is where out says what became of a method.
func resultOf(out *wire.ContactSet, m mfa.Method) *string {
	if m == mfa.SMS {
		return &out.Phone
	}
	return &out.Email
}

// changedBy returns the entries that out takes.
func changedBy(out wire.ContactSet, entries []contactEntry) []contactEntry {
	var changed []contactEntry
	for _, e := range entries {
		if r := *resultOf(&out, e.method); r == wire.ImportedNew || r == wire.ImportedReplaced {
			changed = append(changed, e)
		}
	}
	return changed
}

func (e contactEntry) event(actor string) mfa.Event {
	return mfa.Event{
		Event: audit.Enrolled, Method: string(e.method), To: deliver.Mask(e.to), Actor: actor, Reason: "address entered from a list",
	}
}

// noticeOf tells a user where codes go now.
func noticeOf(changed []contactEntry) account.Notice {
	first := changed[0]
	what := text.Of(goTo[first.method].entered, deliver.Mask(first.to))
	if len(changed) > 1 {
		what = text.Of("Codes by email now go to %s and codes by text message to %s, by an administrator.", deliver.Mask(first.to), deliver.Mask(changed[1].to))
	}
	return account.Notice{Subject: text.Of(subjectChanged), What: what, Advice: text.Of(adviceAsk)}
}
