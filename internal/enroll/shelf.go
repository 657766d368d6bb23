package enroll

import (
	"context"
	"errors"
	"fmt"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Shelve puts a token on the shelf, where it waits for its user. One that is there stays,
// unless it is to be replaced; see account.Accounts.Shelve. With dry nothing is changed.
// Actor is who did it. An error about t wraps ErrInvalid.
func (s *Service) Shelve(ctx context.Context, t Token, replace, dry bool, actor string) (wire.Imported, error) {
	if err := t.check(); err != nil {
		return wire.Imported{}, err
	}
	if t.Serial == "" {
		return wire.Imported{}, fmt.Errorf("%w token: it has no number", ErrInvalid)
	}
	was, same, err := s.Accounts.Shelve(ctx, account.Shelved{
		Serial: t.Serial, Algorithm: t.Params.Algorithm, Digits: t.Params.Digits, Count: t.Count,
	}, t.Secret, replace, dry)
	held := errors.Is(err, account.ErrTaken)
	switch {
	case held && was == nil:
		return wire.Imported{}, fmt.Errorf("%w token: %w", ErrInvalid, err)
	case err != nil && !held:
		return wire.Imported{}, err
	}
	out := shelved(was, same, replace && !held)
	if !dry && (out.App == wire.ImportedNew || out.App == wire.ImportedReplaced) {
		s.Audit.Record(mfa.Event{Time: s.Now(), Event: audit.Shelved, Method: string(mfa.HOTP), Actor: actor, Reason: "number " + t.Serial})
	}
	return out, nil
}

// shelved says what became of a token that was to be put in the place of was, which is nil if
// nothing was there.
func shelved(was *account.Shelved, same, replaced bool) (out wire.Imported) {
	out.App = wire.ImportedNew
	switch {
	case was == nil:
		return out
	case same && was.Taken == nil:
		out.App = wire.ImportedUnchanged
	case replaced:
		out.App = wire.ImportedReplaced
	default:
		out.App = wire.ImportedKept
	}
	if was.Taken != nil {
		out.User = was.Taken.User
	}
	return out
}

// claim notes that id has the token of in, if it is on the shelf. Its error wraps ErrInvalid
// if it is somebody else's.
func (s *Service) claim(ctx context.Context, id mfa.Identity, in Takeover) error {
	if in.Token == nil || in.Token.Serial == "" {
		return nil
	}
	return asInvalid(s.Accounts.Claim(ctx, in.Token.Serial, in.Token.Secret, id, in.Replace))
}

// fromShelf returns the token of that number, which id takes or has taken. Its error wraps
// ErrInvalid if there is none for them.
func (s *Service) fromShelf(ctx context.Context, id mfa.Identity, serial string) (Token, error) {
	kept, secret, ok, err := s.Accounts.Shelved(ctx, serial, id)
	switch {
	case err != nil:
		return Token{}, err
	case !ok:
		return Token{}, fmt.Errorf("%w serial number %q: no token of that number waits for its user", ErrInvalid, serial)
	}
	return Token{Secret: secret, Params: otp.Params{Digits: kept.Digits, Algorithm: kept.Algorithm}, Count: kept.Count, Serial: serial}, nil
}
