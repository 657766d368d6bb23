package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// showWait is how long the directory is waited for to show a user.
const showWait = 5 * time.Second

// lookUp is Show, with addresses in full if they are to be revealed. The directory is asked
// as it is at a login, and nothing of it is written.
func (s *Service) lookUp(ctx context.Context, id mfa.Identity, reveal bool) (wire.User, error) {
	en, err := s.enrollment(ctx, id)
	none := errors.Is(err, ErrNotEnrolled)
	if err != nil && !none {
		return wire.User{}, err
	}
	st, serr := s.Accounts.Records().StoredState(ctx, id.Name)
	if serr != nil {
		return wire.User{}, serr
	}
	problem := ""
	if wanted := s.Accounts.Wanted(en, []mfa.Method{mfa.Email, mfa.SMS}); len(wanted) > 0 {
		if st.UID != id.UID {
			st = mfa.State{UID: id.UID}
		}
		var derr error
		if st, derr = s.Accounts.ByAdministrator(id).AskDirectory(ctx, st, wanted, showWait, true); derr != nil {
			problem = derr.Error()
		}
	}
	v := s.view(id, en, st)
	if none && len(v.Directory) == 0 {
		return wire.User{}, err
	}
	if v.DirectoryProblem = problem; reveal {
		unmask(&v, s.Accounts.Known(id, en, s.Accounts.Records().Bounded(st)))
	}
	return v, nil
}

// knowing returns a function that says what the user has whose record is en, with the
// addresses of the directory, and begins a record where there is none. Its error wraps
// ErrNotEnrolled if they have nothing that counts.
func (s *Service) knowing(ctx context.Context, u *account.User) (func(en *mfa.Enrollment) (mfa.Enrollment, error), error) {
	id := u.Account.ID
	st, err := u.Account.State(ctx)
	if err != nil {
		return nil, err
	}
	record, err := s.enrollment(ctx, id)
	if err != nil && !errors.Is(err, ErrNotEnrolled) {
		return nil, err
	}
	outdated := record.Version != 0 && record.Generation < s.generation()
	return func(en *mfa.Enrollment) (mfa.Enrollment, error) {
		known := s.Accounts.Known(id, *en, st)
		if outdated || known.UID != id.UID || !known.Enrolled() {
			return known, fmt.Errorf("user %q is %w", id.Name, ErrNotEnrolled)
		}
		if en.Version == 0 {
			en.UID, en.Generation = known.UID, known.Generation
		}
		return known, nil
	}, nil
}

// askKnown has somebody confirm that codes go where the directory says, or type another
// address if they may. The error is errOther if the person wants another method.
func (p *setup) askKnown(ctx context.Context, m mfa.Method, known, masked string) (to string, isKnown bool, err error) {
	says := placeOf(m).known
	if !p.may.OnlyKnown {
		says = placeOf(m).knownOr
	}
	told := p.orOther(p.c.Words(says, masked))
	for {
		answer, err := p.answer(ctx, m, told)
		if err != nil {
			return "", false, err
		}
		if answer == "" || answer == known {
			return known, true, nil
		}
		if p.may.OnlyKnown {
			told = p.c.Words("Only %s, which the directory says, can be set up here. Press Enter to have a code sent there, or ask your administrator.", masked)
			continue
		}
		address, err := p.s.parseContact(m, answer)
		if err == nil {
			return address, address == known, nil
		}
		told = p.c.User.Words().Join(p.wrong(err), p.c.Words("Or press Enter for %s.", masked))
	}
}
