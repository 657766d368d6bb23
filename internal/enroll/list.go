package enroll

import (
	"context"
	"errors"
	"slices"

	"mfa/internal/mfa"
	"mfa/internal/store"
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
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, listed, err := s.row(ctx, name, reveal)
		if err != nil {
			v, listed = wire.User{User: name, Problem: err.Error()}, true
		}
		if !listed {
			continue
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

// row returns what is known of a user, and whether Each lists them.
func (s *Service) row(ctx context.Context, name string, reveal bool) (v wire.User, listed bool, err error) {
	en, err := s.Accounts.Records().Enrollment(ctx, name)
	none := errors.Is(err, store.ErrNotFound)
	if err != nil && !none {
		return wire.User{}, false, err
	}
	st, err := s.Accounts.Records().StoredState(ctx, name)
	if err != nil {
		return wire.User{}, false, err
	}
	id := mfa.Identity{Name: name, UID: en.UID}
	if none {
		id.UID = st.UID
	}
	v = s.view(id, en, st)
	if reveal {
		unmask(&v, s.Accounts.Known(id, en, s.Accounts.Records().Bounded(st)))
	}
	return v, !none || v.Locked || len(v.Ahead) > 0 || slices.ContainsFunc(v.Directory, countsThere), nil
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
