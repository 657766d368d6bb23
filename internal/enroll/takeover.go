package enroll

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// A Takeover is a user's second factor as another program kept it. After TakeOver their
// app and their codes on paper go on working.
type Takeover struct {
	Source   string // the program, for audit and mail
	Secret   []byte
	Params   otp.Params
	LastStep int64    // newest step that was used there
	Codes    []string // that work once and are not used yet; 8 digits each
	Replace  bool     // also in the place of an app that is set up
	DryRun   bool     // change nothing, only say what would be
}

// maxAhead is how far ahead a used step can be: a phone's clock may be wrong, but
// a step far ahead would keep the app out until then.
const maxAhead = time.Hour

// TakeOver makes what another program kept part of the enrollment of id. Steps
// that were used there stay used, and codes that were used there or here: that is
// committed before the app counts. An
// app that is set up already stays, unless it is to be replaced. It may be called
// again with the same app, which changes nothing but the newest used step.
func (s *Service) TakeOver(ctx context.Context, id mfa.Identity, in Takeover, actor string) (wire.Imported, error) {
	if err := in.check(); err != nil {
		return wire.Imported{}, err
	}
	step := otp.Step(s.Now(), in.Params.Period)
	ahead := int64(maxAhead / in.Params.Period)
	if in.LastStep > step+ahead {
		return wire.Imported{}, fmt.Errorf("%w newest used step: it is over %v in the future", ErrInvalid, maxAhead)
	}
	en, err := s.Accounts.Records().Enrollment(ctx, id.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return wire.Imported{}, err
	}
	en = s.Accounts.Standing(en, id)
	out := s.taken(en, id, in)
	if in.DryRun || out.App == wire.ImportedKept {
		return out, nil
	}
	set, err := s.takenCodes(out, in)
	if err != nil {
		return wire.Imported{}, err
	}
	spent, err := s.spentCodes(ctx, id, en.Backup, set, in)
	if err != nil {
		return wire.Imported{}, err
	}
	used := func(st *mfa.State) { in.noteUsed(st, out, set, spent) }
	if out.App == wire.ImportedUnchanged {
		return out, s.Accounts.Records().Account(id).Update(ctx, func(st *mfa.State) error {
			used(st)
			return nil
		})
	}
	_, _, err = s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			if again := s.taken(*en, id, in); again != out {
				return fmt.Errorf("the enrollment of %q changed meanwhile; try again", id.Name)
			}
			en.TOTP = s.takenApp(id, in)
			if set != nil {
				en.Backup = set
			}
			return nil
		},
		Anew: mfa.TOTP,
		Use:  used,
		Tidy: func(st *mfa.State) {
			if st.TOTPStep > step+ahead { // of a former app with shorter periods
				st.TOTPStep = in.LastStep
			}
			if set != nil {
				delete(st.MethodFailures, mfa.Backup)
			}
		},
		Event:  mfa.Event{Event: audit.Enrolled, Method: string(mfa.TOTP), Actor: actor, Reason: "taken over from " + in.Source},
		Notice: account.Notice{Subject: subjectChanged, What: "Your authenticator app was taken over from " + in.Source + ", by an administrator.", Advice: adviceAsk},
	})
	return out, err
}

// noteUsed notes in st what of in was used. Set is the new set of its codes, nil if there
// is none; spent are the indices of used codes in it.
func (in Takeover) noteUsed(st *mfa.State, out wire.Imported, set *mfa.BackupSet, spent []int) {
	if set != nil {
		factor.BeginBackup(st, *set, spent, set.Made)
	}
	st.TOTPStep = max(st.TOTPStep, in.LastStep)
	if out.App != wire.ImportedUnchanged {
		st.TOTPStep = max(st.TOTPStep, 1) // known, and of 1970: nothing of it was used here
	}
}

// takenCodes returns the codes of in as a set of ours; nil if out says that none are taken
// over. Its error wraps ErrInvalid.
func (s *Service) takenCodes(out wire.Imported, in Takeover) (*mfa.BackupSet, error) {
	if out.Codes != wire.ImportedNew && out.Codes != wire.ImportedReplaced {
		return nil, nil
	}
	set, err := factor.ForeignBackupSet(rand.Reader, in.Codes)
	if err != nil {
		return nil, fmt.Errorf("%w backup codes: %w", ErrInvalid, err)
	}
	set.Made = s.Now().UTC()
	return &set, nil
}

// spentCodes returns the indices of the codes of in that id used here before. Live is the
// set that id has, set the one that the codes become; without that it returns none.
func (s *Service) spentCodes(ctx context.Context, id mfa.Identity, live, set *mfa.BackupSet, in Takeover) ([]int, error) {
	if set == nil {
		return nil, nil
	}
	st, err := s.Accounts.Records().Account(id).State(ctx)
	if err != nil {
		return nil, err
	}
	if live != nil {
		factor.NoteForeign(&st, *live)
	}
	spent, err := factor.SpentForeign(st, in.Codes)
	if err != nil {
		return nil, fmt.Errorf("backup codes of %q that were used: %w", id.Name, err)
	}
	return spent, nil
}

// takenApp returns the app of in, sealed for id.
func (s *Service) takenApp(id mfa.Identity, in Takeover) *mfa.TOTPSecret {
	return &mfa.TOTPSecret{
		Secret: s.Accounts.SealTOTP(id, in.Secret), Algorithm: in.Params.Algorithm, Digits: in.Params.Digits,
		Period: mfa.Duration(in.Params.Period), Confirmed: s.Now().UTC().Truncate(time.Second),
	}
}

// taken returns what TakeOver does with in for a user who has en.
func (s *Service) taken(en mfa.Enrollment, id mfa.Identity, in Takeover) wire.Imported {
	out := wire.Imported{User: id.Name, App: wire.ImportedNew}
	switch {
	case en.TOTP != nil && s.isApp(*en.TOTP, id, in):
		out.App = wire.ImportedUnchanged
	case en.TOTP != nil && in.Replace:
		out.App = wire.ImportedReplaced
	case en.TOTP != nil:
		out.App = wire.ImportedKept
	}
	switch {
	case len(in.Codes) == 0:
	case out.App == wire.ImportedUnchanged || out.App == wire.ImportedKept:
		out.Codes = wire.ImportedKept
	case en.Backup == nil:
		out.Codes = wire.ImportedNew
	case in.Replace:
		out.Codes = wire.ImportedReplaced
	default:
		out.Codes = wire.ImportedKept
	}
	return out
}

// isApp says whether t is the very app of in.
func (s *Service) isApp(t mfa.TOTPSecret, id mfa.Identity, in Takeover) bool {
	secret, err := s.Accounts.OpenTOTP(id, t.Secret)
	p := otp.Params{Digits: t.Digits, Period: time.Duration(t.Period), Algorithm: t.Algorithm}
	return err == nil && p == in.Params && subtle.ConstantTimeCompare(secret, in.Secret) == 1
}

// check says what is wrong with a Takeover by itself; its error wraps ErrInvalid.
func (in Takeover) check() error {
	if !slices.Contains(wire.ImportSources, in.Source) {
		return fmt.Errorf("%w source %q", ErrInvalid, in.Source)
	}
	if _, err := otp.Code(in.Secret, 0, in.Params); err != nil {
		return fmt.Errorf("%w app: %w", ErrInvalid, err)
	}
	if in.LastStep < 0 {
		return fmt.Errorf("%w newest used step: it is negative", ErrInvalid)
	}
	return nil
}
