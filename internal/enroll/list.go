package enroll

import (
	"context"
	"slices"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Each calls begin with the number of records, and then fn for each user who has an
// enrollment, is locked, or has a stored time in the future, by name. With reveal the
// addresses are not masked. NSS is not asked: an account that is gone is listed until it
// is reset. A record that cannot be read is a User with its Problem, so that one bad file
// hides nobody else. Each ends at the first error of begin or fn or the end of ctx, and
// returns it.
func (s *Service) Each(ctx context.Context, reveal bool, begin func(total int) error, fn func(wire.User) error) error {
	names, err := s.Accounts.Records().Known(ctx)
	if err != nil {
		return err
	}
	if err := begin(len(names)); err != nil {
		return err
	}
	return s.Accounts.Records().Each(ctx, func(found account.Stored) error {
		v, listed := wire.User{User: found.User}, true
		if found.Problem != nil {
			v.Problem = found.Problem.Error()
		} else {
			v, listed = s.row(found, reveal)
		}
		if !listed {
			return nil
		}
		return fn(v)
	})
}

// row returns what is known of a user, and whether Each lists them.
func (s *Service) row(found account.Stored, reveal bool) (v wire.User, listed bool) {
	id := mfa.Identity{Name: found.User, UID: found.Enrollment.UID}
	if !found.Enrolled {
		id.UID = found.State.UID
	}
	v = s.view(id, found.Enrollment, found.State)
	if reveal {
		unmask(&v, s.Accounts.Known(id, found.Enrollment, s.Accounts.Records().Bounded(found.State)))
	}
	return v, found.Enrolled || v.Locked || len(v.Ahead) > 0 || slices.ContainsFunc(v.Directory, countsThere)
}

// countsThere says whether codes go where a directory says.
func countsThere(d wire.DirectoryContact) bool { return d.Counts }

// unmask shows the addresses in full.
func unmask(v *wire.User, en mfa.Enrollment) {
	if en.Email != nil {
		v.Email = en.Email.Address
	}
	if en.SMS != nil {
		v.Phone = en.SMS.Address
	}
	for i, d := range v.Directory {
		if a := en.Contact(d.Method); a != nil && d.Counts {
			v.Directory[i].Address = a.Address
		}
	}
}

// ShowRevealed is Show without masks.
func (s *Service) ShowRevealed(ctx context.Context, id mfa.Identity) (wire.User, error) {
	return s.lookUp(ctx, id, true)
}

// methods returns the methods that are set up, in a fixed order.
func methods(en mfa.Enrollment) []mfa.Method {
	var ms []mfa.Method
	for _, m := range []mfa.Method{mfa.TOTP, mfa.HOTP, mfa.Email, mfa.SMS, mfa.Backup} {
		if en.Has(m) {
			ms = append(ms, m)
		}
	}
	return ms
}
