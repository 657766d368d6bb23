package enroll

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// A Token is one that counts (RFC 4226), as it is handed over to be set up.
type Token struct {
	Secret []byte     // empty: that of the number from the shelf, or a new one for an app that counts
	Params otp.Params // without a period
	Count  int64      // no code before that of this count is good
	Serial string     // that is printed on it; may be empty
}

// usualToken are the parameters of tokens that say nothing else, and the only ones that
// many apps know.
var usualToken = otp.Params{Digits: 6, Algorithm: "SHA1"}

// maxSerial bounds the number on a token, in bytes.
const maxSerial = 64

// check says what is wrong with a Token; its error wraps ErrInvalid.
func (t Token) check() error {
	if err := otp.CheckToken(t.Secret, t.Count, t.Params); err != nil {
		return fmt.Errorf("%w token: %w", ErrInvalid, err)
	}
	if !IsSerial(t.Serial) {
		return fmt.Errorf("%w serial number: want one word of at most %d bytes", ErrInvalid, maxSerial)
	}
	return nil
}

// IsSerial says whether s can be the number on a token. It may be empty.
func IsSerial(s string) bool {
	return len(s) <= maxSerial && !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' })
}

// kept returns t as it is kept in the record of id.
func (s *Service) kept(id mfa.Identity, t Token) *mfa.HOTPSecret {
	return &mfa.HOTPSecret{
		Secret: s.Accounts.SealHOTP(id, t.Secret), Algorithm: t.Params.Algorithm, Digits: t.Params.Digits, Counter: t.Count, Serial: t.Serial,
	}
}

// owned is what account.Change.Own is for t.
func (t Token) owned() *factor.Token { return &factor.Token{Secret: t.Secret, First: t.Count} }

// asInvalid makes an error about a token that is somebody else's one that wraps ErrInvalid.
func asInvalid(err error) error {
	if errors.Is(err, account.ErrTaken) {
		return fmt.Errorf("%w token: %w", ErrInvalid, err)
	}
	return err
}

// SetToken gives id a token, in the place of one that is there. One without a secret is
// that of its number from the shelf; without a number too a new one is made, and what an app
// is set up from returned, for the user to see once. The
// token counts as confirmed once a code of it was typed. What was used of it stays used: if
// it is the one that they have, and its count was lost, only FindToken finds it again.
// Actor is who did it. An error about t wraps ErrInvalid.
func (s *Service) SetToken(ctx context.Context, id mfa.Identity, t Token, actor string) (shown Shown, err error) {
	made := len(t.Secret) == 0 && t.Serial == ""
	switch {
	case made:
		t.Secret, t.Params, t.Count = otp.NewSecret(usualToken.Algorithm), usualToken, 0
	case len(t.Secret) == 0:
		if t, err = s.fromShelf(ctx, id, t.Serial); err == nil {
			err = s.Accounts.Take(ctx, t.Serial, t.Secret, id)
		}
		if err != nil {
			return Shown{}, err
		}
	}
	if err := t.check(); err != nil {
		return Shown{}, err
	}
	if err := s.claim(ctx, id, Takeover{Token: &t, Replace: true}); err != nil {
		return Shown{}, err
	}
	least, again, err := s.leastOf(ctx, id, t)
	if err != nil {
		return Shown{}, err
	}
	t.Count = max(t.Count, least)
	kept := s.kept(id, t)
	before, _, err := s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			en.HOTP = kept
			return nil
		},
		Anew:   mfa.HOTP,
		Own:    t.owned(),
		Event:  mfa.Event{Event: audit.Enrolled, Method: string(mfa.HOTP), Actor: actor, Reason: "token entered" + t.numbered()},
		Notice: account.Notice{Subject: text.Of(subjectChanged), What: text.Of("A token was set up for you, by an administrator."), Advice: text.Of(adviceAsk)},
	})
	err = asInvalid(err)
	if err != nil {
		return Shown{}, err
	}
	shown = Shown{Replaces: before.HOTP != nil && !again}
	if made {
		shown = s.countingApp(nil, id, t.Secret).shown(shown.Replaces)
	}
	return shown, nil
}

// leastOf reports whether t is the token that id has already, and at which count it began then.
func (s *Service) leastOf(ctx context.Context, id mfa.Identity, t Token) (least int64, again bool, err error) {
	en, err := s.enrollment(ctx, id)
	if errors.Is(err, ErrNotEnrolled) || err == nil && en.HOTP == nil {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	secret, err := s.Accounts.OpenHOTP(id, en.HOTP.Secret)
	if err != nil || subtle.ConstantTimeCompare(secret, t.Secret) != 1 { // one that cannot be opened is set up anew
		return 0, false, nil
	}
	return en.HOTP.Counter, true, nil
}

// FindToken moves the token of id forward to where two codes in a row say that it is, as the
// user reads them from it. It is for one whose count is lost, or is too far ahead. Its error
// wraps ErrInvalid if they are nowhere ahead, or ErrNotEnrolled. Actor is who did it.
func (s *Service) FindToken(ctx context.Context, id mfa.Identity, code, following, actor string) error {
	en, err := s.enrollment(ctx, id)
	if err == nil && en.HOTP == nil {
		err = fmt.Errorf("%w token: user %q has none", ErrInvalid, id.Name)
	}
	if err != nil {
		return err
	}
	secret, err := s.Accounts.OpenHOTP(id, en.HOTP.Secret)
	if err != nil {
		return err
	}
	st, err := s.Accounts.Records().Account(id).State(ctx)
	if err != nil {
		return err
	}
	tok := factor.Token{Secret: secret, Params: otp.Params{Digits: en.HOTP.Digits, Algorithm: en.HOTP.Algorithm}, First: en.HOTP.Counter}
	c, _ := factor.Counted(st, tok)
	tok.First = c.Next
	next, found, err := factor.FindPair(tok, code, following)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("%w codes: they are not two in a row of this token, or of before its next one", ErrInvalid)
	}
	err = s.Accounts.Records().Account(id).Update(ctx, func(st *mfa.State) error {
		factor.KeepCount(st, mfa.TokenCount{Token: c.Token, Next: next})
		return nil
	})
	if err == nil {
		s.Audit.Record(mfa.Event{
			Time: s.Now(), Event: audit.Resynchronised, User: id.Name, UID: &id.UID, Method: string(mfa.HOTP), Actor: actor,
			Reason: fmt.Sprintf("two codes in a row, %d ahead", next-2-c.Next),
		})
	}
	return err
}

// numbered tells of the number on the token, if it is known.
func (t Token) numbered() string {
	if t.Serial == "" {
		return ""
	}
	return ", number " + t.Serial
}

// added says that the token is set up.
func (t Token) added() text.Sentence {
	if t.Serial == "" {
		return text.Of("A token was added.")
	}
	return text.Of("A token was added, number %s.", t.Serial)
}

const textAddCounting = "Add this key to your app, as one that counts (HOTP)."

// countingApp returns what an app that counts is set up from, in the language of w.
func (s *Service) countingApp(w *text.Printer, id mfa.Identity, secret []byte) appSetup {
	return s.drawn(w, s.uri(id, func(issuer, account string) string { return otp.CountURI(issuer, account, secret, 0, usualToken) }),
		secret, textAddCounting, thenApp)
}

// viewToken returns what is shown of a token, which may be nil.
func (s *Service) viewToken(id mfa.Identity, t *mfa.HOTPSecret, st mfa.State) *wire.Token {
	if t == nil {
		return nil
	}
	v := &wire.Token{Serial: t.Serial, Next: t.Counter}
	if !t.Confirmed.IsZero() {
		v.Confirmed = &t.Confirmed
	}
	secret, err := s.Accounts.OpenHOTP(id, t.Secret)
	if err != nil {
		return v // that it cannot be opened, logins and doctor say
	}
	c, known := factor.Counted(st, factor.Token{Secret: secret, First: t.Counter})
	v.Next, v.Void = c.Next, !known
	return v
}
