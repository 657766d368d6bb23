package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// A Directory says where a user's codes can go. An error means that it could not say,
// which is never "nowhere". It may be used from many goroutines.
type Directory interface {
	Look(ctx context.Context, id mfa.Identity) (Found, error)
}

// A Found is what a Directory has of a user, each in the one shape in which codes are
// sent there.
type Found struct {
	Emails, Phones []string
	Unusable       map[mfa.Method]error // what it has of a method, none of which a code can be sent to
	At             time.Time            // of the look-up
}

// of returns what was found for a method.
func (f Found) of(m mfa.Method) []string {
	if m == mfa.SMS {
		return f.Phones
	}
	return f.Emails
}

// ErrTwoEntries means that a directory has more than one entry for a user: nobody can
// say whose address would be whose.
var ErrTwoEntries = errors.New("more than one entry for the user")

// ErrUnusable means that what a directory has of a user is nothing that a code can be
// sent to.
var ErrUnusable = errors.New("no code can be sent there")

// A DirectoryError is why a directory could not say where the codes of a user go.
type DirectoryError struct {
	Source string
	Err    error
}

// Error says so.
func (e *DirectoryError) Error() string {
	return fmt.Sprintf("ask the directory (%s): %v", e.Source, e.Err)
}

// Unwrap returns why.
func (e *DirectoryError) Unwrap() error { return e.Err }

// sending are the methods whose codes go somewhere.
var sending = []mfa.Method{mfa.Email, mfa.SMS}

// Wanted returns Email, SMS, both or neither: those by which one of methods sends its codes
// (calls go to the number of SMS), for which en has no address or number of its own that
// counts. For these the directory is to be asked.
func (a *Accounts) Wanted(en mfa.Enrollment, methods []mfa.Method) (wanted []mfa.Method) {
	if a.deps.Directory == nil {
		return nil
	}
	for _, m := range sending {
		if slices.ContainsFunc(methods, func(of mfa.Method) bool { return Carried(of) == m }) && (m != mfa.SMS || a.cfg.TextMessages) && !a.ownCounts(en, m) {
			wanted = append(wanted, m)
		}
	}
	return wanted
}

// Carried returns the one of the methods that a directory is asked about whose address or
// number codes of m go to: a call goes to the number of text messages. Of others it is m.
func Carried(m mfa.Method) mfa.Method {
	if m.Rings() {
		return mfa.SMS
	}
	return m
}

// ownCounts says whether the record en has an address of the method that no directory's
// stands in for.
func (a *Accounts) ownCounts(en mfa.Enrollment, m mfa.Method) bool {
	own := en.Contact(m)
	return own != nil && own.Looked.IsZero() && a.cfg.Contacts.Prefer != PreferDirectory && en.Generation >= a.cfg.Generation
}

// leastKept is how long an answer counts, whatever contacts.keep is: for the login that
// asked.
const leastKept = 5 * time.Minute

// Remembered returns what st has of the directory that still counts at all, nil if
// nothing.
func (a *Accounts) Remembered(st mfa.State) *mfa.Contacts {
	c := st.Contacts
	if c == nil || a.deps.Directory == nil || c.Source != a.cfg.Contacts.Source ||
		a.deps.Now().Sub(c.At) > max(time.Duration(a.cfg.Contacts.Keep), leastKept) {
		return nil
	}
	return c
}

// Known returns en, the record of id or the zero Enrollment, with the addresses that st
// remembers of the directory, where those count. It adds none for a user who chose to have
// no second factor. The result is never stored.
func (a *Accounts) Known(id mfa.Identity, en mfa.Enrollment, st mfa.State) mfa.Enrollment {
	c := a.Remembered(st)
	if c == nil || !a.cfg.Contacts.Confirmed || en.Skipped != nil {
		return en
	}
	for _, m := range a.Wanted(en, sending) {
		to := c.Of(m)
		if to == "" {
			continue
		}
		en.SetContact(m, &mfa.Address{Address: to, Confirmed: c.At, AddedBy: c.Source, Looked: c.At})
		if en.Version == 0 {
			en.UID, en.Generation = id.UID, a.cfg.Generation
		}
	}
	return en
}

// DirectoryView describes what st remembers of the directory, masked. En is what Known
// returned: an address counts if en has it from there.
func (a *Accounts) DirectoryView(en mfa.Enrollment, st mfa.State) (all []wire.DirectoryContact) {
	c := a.Remembered(st)
	if c == nil {
		return nil
	}
	for _, m := range sending {
		if to := c.Of(m); to != "" {
			at := en.Contact(m)
			all = append(all, wire.DirectoryContact{
				Method: m, Address: deliver.Mask(to), Source: c.Source, At: c.At, Counts: at != nil && !at.Looked.IsZero(),
			})
		}
	}
	return all
}

// known is Known for what is remembered now.
func (u *User) known(ctx context.Context, en mfa.Enrollment) mfa.Enrollment {
	if u.in.deps.Directory == nil || u.Account.IsUnknown() {
		return en
	}
	st, err := u.Account.State(ctx)
	if err != nil {
		return en
	}
	return u.in.Known(u.Account.ID, en, st)
}

// AskDirectory asks the directory where codes of the wanted methods can go, for so long
// at most, and remembers the answer. It returns st as it is then. With a DirectoryError,
// which is for the wanted methods, st has what was remembered before, or what the
// directory has of other methods. With dry nothing is written. For a name without an account
// a made-up name is asked about, and a failure is no error.
func (u *User) AskDirectory(ctx context.Context, st mfa.State, wanted []mfa.Method, wait time.Duration, dry bool) (mfa.State, error) {
	id, source := u.Account.ID, u.in.cfg.Contacts.Source
	if u.Account.IsUnknown() { // asked by a name that gives nothing away, and is the same each time
		id.Name = "nobody-" + hex.EncodeToString(u.in.deps.Key.MAC("decoy name", []byte(id.Name))[:6])
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("no answer within %v", wait))
	found, err := u.in.deps.Directory.Look(ctx, id)
	cancel()
	switch {
	case u.Account.IsUnknown() && err != nil:
		return st, nil
	case err != nil:
		return st, &DirectoryError{source, err}
	}
	st, err = u.noteFound(context.WithoutCancel(ctx), st, found, dry)
	if err != nil || u.Account.IsUnknown() {
		return st, err
	}
	for _, m := range wanted {
		if err := found.Unusable[m]; err != nil {
			return st, &DirectoryError{source, fmt.Errorf("%w: %w", ErrUnusable, err)}
		}
	}
	return st, nil
}

// noteFound remembers what the directory said. If codes went elsewhere by what it said
// before, conversations that saw the user so begin again, and the user is told there.
func (u *User) noteFound(ctx context.Context, st mfa.State, found Found, dry bool) (mfa.State, error) {
	var before mfa.Contacts
	note := func(st *mfa.State) error {
		before = mfa.Contacts{}
		if c := u.in.Remembered(*st); c != nil {
			before = *c
		}
		if !before.At.Before(found.At.UTC()) {
			return nil // an answer that is noted
		}
		st.Contacts = u.pick(found, before)
		if u.in.cfg.Contacts.Confirmed && moved(before, st.Contacts) {
			st.NewEpoch(u.in.deps.Now())
		}
		return nil
	}
	if dry {
		st = st.Clone()
		return st, note(&st)
	}
	err := u.Account.Update(ctx, func(now *mfa.State) error {
		err := note(now)
		st = now.Clone()
		return err
	})
	if err == nil && !u.Account.IsUnknown() {
		u.tellMoved(before, st.Contacts)
	}
	return st, err
}

// pick returns what is remembered of what was found: of several values the one that was
// taken before, for any of them is the user's and the directory keeps no order.
func (u *User) pick(found Found, before mfa.Contacts) *mfa.Contacts {
	now := mfa.Contacts{Source: u.in.cfg.Contacts.Source, At: found.At.UTC()}
	if u.Account.IsUnknown() {
		now.Email = "somebody@example.com"
		return &now
	}
	for _, m := range sending {
		values := found.of(m)
		if len(values) == 0 {
			continue
		}
		if slices.Contains(values, before.Of(m)) {
			now.Set(m, before.Of(m))
		} else {
			now.Set(m, slices.Min(values))
		}
	}
	if now.Email == "" && now.Phone == "" {
		return nil // "none" is not remembered: the directory may have one the next time
	}
	return &now
}

// moved says whether codes went by before where they do not go by now, which may be nil.
func moved(before mfa.Contacts, now *mfa.Contacts) bool {
	return slices.ContainsFunc(sending, func(m mfa.Method) bool {
		return before.Of(m) != "" && (now == nil || now.Of(m) != before.Of(m))
	})
}

// tellMoved writes down what the directory says now and did not say before, and tells
// the user at the address that counted until now.
func (u *User) tellMoved(before mfa.Contacts, now *mfa.Contacts) {
	if now == nil {
		now = &mfa.Contacts{}
	}
	for _, m := range sending {
		if now.Of(m) == before.Of(m) {
			continue
		}
		ev := u.Event(audit.Directory)
		ev.Method, ev.Reason = string(m), fmt.Sprintf("the directory (%s) says so", u.in.cfg.Contacts.Source)
		if old := before.Of(m); old != "" {
			ev.Reason += "; before: " + deliver.Mask(old)
		}
		if to := now.Of(m); to != "" {
			ev.To = deliver.Mask(to)
		} else {
			ev.Reason = fmt.Sprintf("the directory (%s) has none any more; before: %s", u.in.cfg.Contacts.Source, deliver.Mask(before.Of(m)))
		}
		u.in.deps.Audit.Record(ev)
	}
	if before.Email == "" || !u.in.cfg.Contacts.Confirmed || !moved(before, now) {
		return
	}
	old := mfa.Enrollment{Email: &mfa.Address{Address: before.Email, Confirmed: before.At}}
	u.Notify(old, Notice{
		Subject: text.Of("Second factor changed"), What: text.Of("The directory has another address or number for your codes now."),
		Advice: text.Of("If that surprises you, tell your administrator at once: somebody may have changed it there."),
	})
}
