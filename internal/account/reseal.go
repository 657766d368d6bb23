package account

import (
	"context"
	"errors"

	"mfa/internal/mfa"
)

// Reseal seals all secrets anew that need a former key. It calls begin with the number of
// users and of tokens on the shelf, and fn after each of them with its error, and goes on
// after an error. It returns the errors joined, or that of ctx if it ended.
func (a *Accounts) Reseal(ctx context.Context, begin func(total int), fn func(user string, err error)) error {
	names, err := a.deps.Records.Known(ctx)
	if err != nil {
		return err
	}
	serials, err := a.shelf(ctx)
	if err != nil {
		return err
	}
	begin(len(names) + len(serials))
	var errs []error
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := a.resealUser(ctx, name)
		fn(name, err)
		errs = append(errs, err)
	}
	errs = append(errs, a.resealShelf(ctx, serials, fn))
	return errors.Join(errs...)
}

// resealUser seals the secrets of one user. A secret that no key opens stays as it is.
// Remembered sessions get the new fingerprint of the enrollment, so they go on.
func (a *Accounts) resealUser(ctx context.Context, name string) error {
	id := mfa.Identity{Name: name}
	var before, after string
	err := a.deps.Records.UpdateEnrollment(ctx, name, func(en *mfa.Enrollment) error {
		before = en.Fingerprint()
		if en.TOTP != nil {
			en.TOTP.Secret = a.resealed(id, totpField, en.TOTP.Secret)
		}
		if en.HOTP != nil {
			en.HOTP.Secret = a.resealed(id, hotpField, en.HOTP.Secret)
		}
		after = en.Fingerprint()
		return nil
	})
	if err != nil {
		return err
	}
	return a.deps.Records.UpdateState(ctx, name, func(st *mfa.State) error {
		if st.Enrolling != nil && st.Enrolling.Secret != "" {
			st.Enrolling.Secret = a.resealed(id, fieldOf(st.Enrolling.Method), st.Enrolling.Secret)
		}
		for i := range st.Sessions {
			if st.Sessions[i].Enrollment == before {
				st.Sessions[i].Enrollment = after
			}
		}
		return nil
	})
}

// fieldOf is the name of the secret of a method.
func fieldOf(m mfa.Method) string {
	if m == mfa.HOTP {
		return hotpField
	}
	return totpField
}

func (a *Accounts) resealed(id mfa.Identity, field, sealed string) string {
	next, err := a.deps.Key.Reseal(sealed, id.Name, field)
	if err != nil {
		a.deps.Log.Error("a secret cannot be opened; the user must set up the app or token anew", "user", id.Name, "error", err)
		return sealed
	}
	return next
}
