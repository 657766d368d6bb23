package login

import (
	"context"
	"errors"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// How long a directory is waited for: as long as it takes, by its own bounds, if all
// depends on it; else for a moment, as there is something to ask for without it.
const (
	directoryWait   = 12 * time.Second
	directoryMoment = time.Second
)

// withDirectory returns en, what the user has set up, with the addresses of the directory
// where those count, and st as it is then. The directory is asked only if there is no
// address of the user's own that could do, and not by an inquiry that is early. If it could
// not say, l.missing is why, and what it said before counts for so long as contacts.keep.
func (l *inquiry) withDirectory(ctx context.Context, en mfa.Enrollment, st mfa.State) (mfa.Enrollment, mfa.State, error) {
	accounts := l.engine.deps.Accounts
	cfg := accounts.Config().Contacts
	own := en
	switch {
	case cfg.Source == "":
		return en, st, nil
	case l.user.Account.IsUnknown():
		own = mfa.Enrollment{}
	case l.policy.Mode == ModeOptional && en.Skipped != nil:
		return en, st, nil // their choice stands
	default:
		own.Skipped = nil // it was their choice where they had one
	}
	l.missing = nil
	methods := l.policy.Methods
	if len(l.counting(own)) == 0 { // they may have one that counts elsewhere, to be proven before they are led to another
		methods = l.engine.cfg.Policy.Counting()
	}
	wanted := accounts.Wanted(own, methods)
	if !cfg.Confirmed || len(wanted) == 0 { // with mode "off" too: who changes what they have proves it
		return l.addKnown(en, own, st), st, nil
	}
	if l.early {
		l.unasked = true
		return l.addKnown(en, own, st), st, nil
	}
	wait := directoryWait
	without := func(m mfa.Method) bool { return m != mfa.Backup && !slices.Contains(wanted, account.Carried(m)) }
	if !l.user.Account.IsUnknown() && slices.ContainsFunc(l.user.Enabled(st, l.counting(en)), without) {
		wait = directoryMoment
	}
	st, err := l.user.AskDirectory(ctx, st, wanted, wait, l.dry)
	if _, unsaid := errors.AsType[*account.DirectoryError](err); unsaid {
		l.missing = err
		return withoutOwn(l.addKnown(en, own, st), wanted), st, nil
	}
	return l.addKnown(en, own, st), st, err
}

// withoutOwn returns en without addresses of the user's own that the directory may have
// others for, which would count in their place.
func withoutOwn(en mfa.Enrollment, wanted []mfa.Method) mfa.Enrollment {
	for _, m := range wanted {
		if a := en.Contact(m); a != nil && a.Looked.IsZero() {
			en.SetContact(m, nil)
		}
	}
	return en
}

// addKnown is account.Known for own, the part of en that counts; en itself, for nobody and
// where the directory adds nothing.
func (l *inquiry) addKnown(en, own mfa.Enrollment, st mfa.State) mfa.Enrollment {
	if l.user.Account.IsUnknown() {
		return en
	}
	known := l.engine.deps.Accounts.Known(l.user.Account.ID, own, st)
	if len(fromDirectory(known)) == 0 {
		return en
	}
	return known
}

// provable returns the methods that the user can prove to have, whether they count here or
// not. An address of the directory is one only if the policy or a rule lets codes sent there
// count for somebody.
func (l *inquiry) provable(en mfa.Enrollment) []mfa.Method {
	theirs, counting := fromDirectory(en), l.engine.cfg.Policy.Counting()
	return slices.DeleteFunc(usable(en, possibleMethods(en)), func(m mfa.Method) bool {
		return slices.Contains(theirs, m) && !slices.Contains(counting, m)
	})
}

// fromDirectory returns the methods whose address or number in en is a directory's.
func fromDirectory(en mfa.Enrollment) (ms []mfa.Method) {
	for _, m := range []mfa.Method{mfa.Email, mfa.SMS, mfa.Call} {
		if a := en.Contact(m); a != nil && !a.Looked.IsZero() {
			ms = append(ms, m)
		}
	}
	return ms
}

// suggest adds to an offer the addresses that the directory has and nobody confirmed. Where
// it could not say, and its word is preferred, no address is entered in the place of what it
// may have. The error is a DirectoryError if then there is nothing to choose.
func (l *inquiry) suggest(ctx context.Context, offer *mfa.EnrollOffer) error {
	accounts := l.engine.deps.Accounts
	cfg := accounts.Config().Contacts
	if cfg.Source == "" || l.user.Account.IsUnknown() {
		return nil
	}
	st, err := l.user.Account.State(ctx)
	if err != nil {
		return err
	}
	if cfg.Confirmed {
		l.withoutDirectoryMethods(offer, st)
		return nil
	}
	wanted := accounts.Wanted(mfa.Enrollment{}, offer.Methods)
	if len(wanted) == 0 {
		return nil
	}
	st, err = l.user.AskDirectory(ctx, st, wanted, directoryWait, l.dry)
	_, unsaid := errors.AsType[*account.DirectoryError](err)
	if err != nil && !unsaid {
		return err
	}
	offer.OnlyKnown = cfg.Prefer == account.PreferDirectory || !offer.SelfContacts
	offer.Known = knownOf(accounts.Remembered(st), offer.Methods, wanted)
	if unsaid && cfg.Prefer == account.PreferDirectory {
		offer.Methods = slices.DeleteFunc(slices.Clone(offer.Methods), func(m mfa.Method) bool {
			return slices.Contains(wanted, account.Carried(m)) && offer.Known[m] == ""
		})
	}
	if unsaid && len(offer.Choices()) == 0 {
		return err
	}
	return nil
}

// knownOf returns where c says that codes of each of methods go, for those whose address or
// number was wanted of it; nil if nothing is remembered.
func knownOf(c *mfa.Contacts, methods, wanted []mfa.Method) map[mfa.Method]string {
	if c == nil {
		return nil
	}
	known := map[mfa.Method]string{}
	for _, m := range methods {
		if to := c.Of(account.Carried(m)); to != "" && slices.Contains(wanted, account.Carried(m)) {
			known[m] = to
		}
	}
	return known
}

// withoutDirectoryMethods takes from an offer the methods whose address is the directory's to say.
func (l *inquiry) withoutDirectoryMethods(offer *mfa.EnrollOffer, st mfa.State) {
	accounts := l.engine.deps.Accounts
	if accounts.Config().Contacts.Prefer != account.PreferDirectory {
		return
	}
	theirs := fromDirectory(accounts.Known(l.user.Account.ID, mfa.Enrollment{}, st))
	offer.Methods = slices.DeleteFunc(slices.Clone(offer.Methods), func(m mfa.Method) bool { return slices.Contains(theirs, m) })
}

// failed is Failed for a login. If a directory could not be asked it tells the person so.
func (l *attempt) failed(ctx context.Context, err error) (mfa.Verdict, error) {
	if _, unsaid := errors.AsType[*account.DirectoryError](err); !unsaid {
		return l.talk.Failed(ctx, err)
	}
	told := textDirectoryDown
	switch {
	case errors.Is(err, account.ErrTwoEntries):
		told = textDirectoryTwice
	case errors.Is(err, account.ErrUnusable):
		told = textDirectoryUnusable
	}
	l.talk.Say(ctx, mfa.Failure, l.talk.Words(told))
	return mfa.Verdict{Outcome: mfa.Unavailable, Reason: "directory look-up failed"}, err
}

const (
	textDirectoryDown = "Your codes go where the directory says, and it cannot be asked now. Try again in a few minutes. If that does not help, tell your administrator."

	textDirectoryUnusable = "The directory has nothing for you that a code can be sent to. Tell your administrator."

	textDirectoryTwice = "The directory has more than one entry for you, so it is not known where your codes go. Tell your administrator."
)

// staleNote is what is said of an address that the directory gave earlier, if it could not
// be asked now; else empty. It logs that, too.
func (l *attempt) staleNote(en mfa.Enrollment, m mfa.Method) string {
	a := en.Contact(m)
	if l.missing == nil || a == nil || a.Looked.IsZero() || l.user.Account.IsUnknown() {
		return ""
	}
	age := max(0, l.engine.deps.Now().Sub(a.Looked))
	l.engine.deps.Log.Warn("the directory could not be asked: the code goes where it said before", "user", l.user.Account.ID.Name,
		"method", m, "age", mfa.Span(age), "error", l.missing)
	return l.talk.Words("The directory cannot be asked now; it last answered %s.", text.AgoOf(age))
}
