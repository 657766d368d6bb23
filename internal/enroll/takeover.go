package enroll

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// A Takeover is a user's second factor as another program kept it. After TakeOver their
// app and their codes on paper go on working.
type Takeover struct {
	Source   string // the program, for audit and mail
	Secret   []byte
	Params   otp.Params
	LastStep int64    // newest step that was used there
	Token    *Token   // a token that counts, in the place of an app: then the three before are empty
	Codes    []string // that work once and are not used yet; 8 digits each
	Replace  bool     // also in the place of an app that is set up
	DryRun   bool     // change nothing, only say what would be
}

// maxAhead is how far ahead a used step can be: a phone's clock may be wrong, but
// a step far ahead would keep the app out until then.
const maxAhead = time.Hour

// TakeOver makes what another program kept part of the enrollment of id. Steps
// that were used there stay used, counts go on, and so do codes that were used there or
// here: that is committed before the app or token counts. One
// that is set up already stays, unless it is to be replaced. It may be called
// again with the same one, which changes nothing but the newest used step or count.
func (s *Service) TakeOver(ctx context.Context, id mfa.Identity, in Takeover, actor string) (wire.Imported, error) {
	if err := in.check(); err != nil {
		return wire.Imported{}, err
	}
	newest, err := s.newestStep(in)
	if err != nil {
		return wire.Imported{}, err
	}
	en, err := s.Accounts.Records().Enrollment(ctx, id.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return wire.Imported{}, err
	}
	en = s.Accounts.CurrentEnrollment(en, id)
	out := s.taken(en, id, in)
	if in.DryRun || out.App == wire.ImportedKept {
		return out, s.tryTake(ctx, id, in, out)
	}
	set, err := s.takenCodes(out, in)
	if err != nil {
		return wire.Imported{}, err
	}
	spent, err := s.spentCodes(ctx, id, en.Backup, set, in)
	if err != nil {
		return wire.Imported{}, err
	}
	if err := s.claim(ctx, id, in); err != nil {
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
			s.put(en, id, in)
			if set != nil {
				en.Backup = set
			}
			return nil
		},
		Anew: in.method(),
		Own:  in.owned(),
		Use:  used,
		Tidy: func(st *mfa.State) {
			if st.TOTPStep > newest { // of a former app with shorter periods
				st.TOTPStep = in.LastStep
			}
			if set != nil {
				delete(st.MethodFailures, mfa.Backup)
			}
		},
		Event:  mfa.Event{Event: audit.Enrolled, Method: string(in.method()), Actor: actor, Reason: "taken over from " + in.Source + in.numbered()},
		Notice: account.Notice{Subject: text.Of(subjectChanged), What: in.what(), Advice: text.Of(adviceAsk)},
	})
	return out, asInvalid(err)
}

// tryTake returns the error that taking over the token of in would end with, for somebody
// else has it. Out is what would become of it.
func (s *Service) tryTake(ctx context.Context, id mfa.Identity, in Takeover, out wire.Imported) error {
	if in.Token == nil || out.App == wire.ImportedKept || out.App == wire.ImportedUnchanged {
		return nil
	}
	return asInvalid(s.Accounts.Free(ctx, id, in.Token.Secret))
}

// owned is the token of in, or nil.
func (in Takeover) owned() *factor.Token {
	if in.Token == nil {
		return nil
	}
	return in.Token.owned()
}

// newestStep returns the newest step that can have been used by now. Its error wraps
// ErrInvalid: one beyond it is said to be used. A token has no steps, and any can be.
func (s *Service) newestStep(in Takeover) (int64, error) {
	if in.Token != nil {
		return math.MaxInt64, nil
	}
	newest := otp.Step(s.Now(), in.Params.Period) + int64(maxAhead/in.Params.Period)
	if in.LastStep > newest {
		return 0, fmt.Errorf("%w newest used step: it is over %v in the future", ErrInvalid, maxAhead)
	}
	return newest, nil
}

// method is that of what is taken over.
func (in Takeover) method() mfa.Method {
	if in.Token != nil {
		return mfa.HOTP
	}
	return mfa.TOTP
}

// what says what happens.
func (in Takeover) what() text.Sentence {
	if in.Token != nil {
		return text.Of("Your token was taken over from %s, by an administrator.", in.Source)
	}
	return text.Of("Your authenticator app was taken over from %s, by an administrator.", in.Source)
}

// numbered tells of the number on a token, if it is known.
func (in Takeover) numbered() string {
	if in.Token == nil {
		return ""
	}
	return in.Token.numbered()
}

// put makes what is taken over part of the enrollment of id.
func (s *Service) put(en *mfa.Enrollment, id mfa.Identity, in Takeover) {
	if in.Token != nil {
		en.HOTP = s.kept(id, *in.Token)
		en.HOTP.Confirmed = s.Now().UTC().Truncate(time.Second)
		return
	}
	en.TOTP = s.takenApp(id, in)
}

// noteUsed notes in st what of in was used. Set is the new set of its codes, nil if there
// is none; spent are the indices of used codes in it.
func (in Takeover) noteUsed(st *mfa.State, out wire.Imported, set *mfa.BackupSet, spent []int) {
	if set != nil {
		factor.BeginBackup(st, *set, spent, set.Made)
	}
	if in.Token != nil {
		_, known := factor.Counted(*st, *in.owned())
		if known && out.App == wire.ImportedUnchanged { // else nobody knows what was used since the list was made
			factor.KeepCount(st, mfa.TokenCount{Token: otp.TokenName(in.Token.Secret), Next: in.Token.Count})
		}
		return
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
	switch has := en.Has(in.method()); {
	case has && s.isThere(en, id, in):
		out.App = wire.ImportedUnchanged
	case has && in.Replace:
		out.App = wire.ImportedReplaced
	case has:
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

// isThere says whether en, which has the method of in, has the very app or token of in.
func (s *Service) isThere(en mfa.Enrollment, id mfa.Identity, in Takeover) bool {
	if in.Token == nil {
		return s.isApp(*en.TOTP, id, in)
	}
	secret, err := s.Accounts.OpenHOTP(id, en.HOTP.Secret)
	p := otp.Params{Digits: en.HOTP.Digits, Algorithm: en.HOTP.Algorithm}
	return err == nil && p == in.Token.Params && subtle.ConstantTimeCompare(secret, in.Token.Secret) == 1
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
	if in.Token != nil {
		return in.Token.check()
	}
	if _, err := otp.Code(in.Secret, 0, in.Params); err != nil {
		return fmt.Errorf("%w app: %w", ErrInvalid, err)
	}
	if in.LastStep < 0 {
		return fmt.Errorf("%w newest used step: it is negative", ErrInvalid)
	}
	return nil
}
