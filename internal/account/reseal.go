package account

import (
	"context"
	"errors"

	"mfa/internal/mfa"
)

// Reseal seals all secrets anew that need a former key. It calls begin with the
// number of users, and fn after each, with what stood in the way; it goes on after
// that. The error says that not all was done, and is that of ctx if it ended.
func (a *Accounts) Reseal(ctx context.Context, begin func(total int), fn func(user string, err error)) error {
	names, err := a.deps.Records.Known(ctx)
	if err != nil {
		return err
	}
	begin(len(names))
	var errs []error
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := a.resealUser(ctx, name)
		fn(name, err)
		errs = append(errs, err)
	}
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
			en.TOTP.Secret = a.resealed(id, en.TOTP.Secret)
		}
		after = en.Fingerprint()
		return nil
	})
	if err != nil {
		return err
	}
	return a.deps.Records.UpdateState(ctx, name, func(st *mfa.State) error {
		if st.Enrolling != nil && st.Enrolling.Secret != "" {
			st.Enrolling.Secret = a.resealed(id, st.Enrolling.Secret)
		}
		for i := range st.Sessions {
			if st.Sessions[i].Enrollment == before {
				st.Sessions[i].Enrollment = after
			}
		}
		return nil
	})
}

func (a *Accounts) resealed(id mfa.Identity, sealed string) string {
	next, err := a.deps.Key.Reseal(sealed, id.Name, totpField)
	if err != nil {
		a.deps.Log.Error("a secret cannot be opened; the user must set up the app anew", "user", id.Name, "error", err)
		return sealed
	}
	return next
}
