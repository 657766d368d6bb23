package enroll

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/wire"
)

// tokenTakeover is what a list may have of alice's.
func tokenTakeover(count int64) Takeover {
	return Takeover{Source: wire.SourcePSKC, Token: &Token{
		Secret: []byte("12345678901234567890"), Params: otp.Params{Digits: 6, Algorithm: "SHA1"}, Count: count, Serial: "987654321",
	}}
}

// next is the count of the next code of alice's token, and whether it is known.
func next(t *testing.T, s *Service) (int64, bool) {
	t.Helper()
	v, err := s.Show(t.Context(), alice)
	if err != nil || v.HOTP == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	return v.HOTP.Next, !v.HOTP.Void
}

// uses has the code of that count of alice's token used.
func uses(t *testing.T, s *Service, count int64) {
	t.Helper()
	setState(t, s, func(st *mfa.State) {
		factor.KeepCount(st, mfa.TokenCount{Token: otp.TokenName(tokenTakeover(0).Token.Secret), Next: count + 1})
	})
}

// codeAt is what alice's token shows at a count.
func codeAt(t *testing.T, count int64) string {
	t.Helper()
	p := tokenTakeover(0).Token.Params
	p.Period = time.Second // a token has none; Code wants one
	c, err := otp.Code(tokenTakeover(0).Token.Secret, count, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A list that is taken over again, however old, moves no count back.
func TestTakeOverOfAToken(t *testing.T) {
	s := newService(t)
	in := tokenTakeover(5)
	in.DryRun = true
	takeOver(t, s, in, wire.ImportedNew, "")
	if keys, err := s.Accounts.Records().S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Fatalf("a dry run wrote %q, %v", keys, err)
	}
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	uses(t, s, 20)
	takeOver(t, s, tokenTakeover(5), wire.ImportedUnchanged, "")
	if n, known := next(t, s); n != 21 || !known {
		t.Errorf("next %d, known %v", n, known)
	}
	takeOver(t, s, tokenTakeover(30), wire.ImportedUnchanged, "")
	if n, _ := next(t, s); n != 30 {
		t.Errorf("a newer list: next %d", n)
	}
	other := tokenTakeover(0)
	other.Token.Secret = []byte("another-secret-of-hers")
	takeOver(t, s, other, wire.ImportedKept, "")
	other.Replace = true
	takeOver(t, s, other, wire.ImportedReplaced, "")
	if n, _ := next(t, s); n != 0 {
		t.Errorf("of another token: next %d", n)
	}
	back := tokenTakeover(0)
	back.Replace = true
	takeOver(t, s, back, wire.ImportedReplaced, "")
	if n, _ := next(t, s); n != 30 {
		t.Errorf("of the one that came back: next %d", n)
	}
	// Beside an app, and with the codes of another program.
	both := tokenTakeover(0)
	both.Codes = []string{"12345678"}
	takeOver(t, s, both, wire.ImportedUnchanged, wire.ImportedKept)
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew)
	if en, _ := records(t, s); en.TOTP == nil || en.HOTP == nil || en.HOTP.Serial != "987654321" || en.HOTP.Confirmed.IsZero() {
		t.Errorf("%+v", en)
	}
}

func TestTokensThatCannotBe(t *testing.T) {
	s := newService(t)
	for name, spoil := range map[string]func(tok *Token){
		"secret":    func(tok *Token) { tok.Secret = []byte("short") },
		"digits":    func(tok *Token) { tok.Params.Digits = 9 },
		"algorithm": func(tok *Token) { tok.Params.Algorithm = "MD5" },
		"count":     func(tok *Token) { tok.Count = -1 },
		"serial":    func(tok *Token) { tok.Serial = "1\n2" },
		"long":      func(tok *Token) { tok.Serial = string(make([]byte, 65)) },
	} {
		in := tokenTakeover(0)
		spoil(in.Token)
		if _, err := s.TakeOver(t.Context(), alice, in, "root"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.SetToken(t.Context(), alice, *in.Token, "root"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Show(t.Context(), alice); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("%v", err)
	}
}

// A restore moves no count back: not after more was used, not after a reset, and where the
// count was lost since the backup no code is good at all.
func TestRestoreOfATokenRewindsNothing(t *testing.T) {
	s := newService(t)
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	uses(t, s, 9)
	b := backup(t, s)
	elsewhere := newService(t)
	b.restore(t, elsewhere, wire.RestoredNew)
	if n, known := next(t, elsewhere); n != 10 || !known {
		t.Errorf("elsewhere: next %d, known %v", n, known)
	}
	uses(t, s, 20)
	b.restore(t, s, wire.RestoredUnchanged)
	if n, _ := next(t, s); n != 21 {
		t.Errorf("after more was used: next %d", n)
	}
	if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
		t.Fatal(err)
	}
	b.restore(t, s, wire.RestoredNew)
	if n, known := next(t, s); n != 21 || !known {
		t.Errorf("after a reset: next %d, known %v", n, known)
	}
	lost := now.Add(time.Minute)
	setState(t, s, func(st *mfa.State) { *st = mfa.State{UID: st.UID, Since: &lost} })
	b.restore(t, s, wire.RestoredUnchanged)
	if _, known := next(t, s); known {
		t.Error("known, though what was used since the backup is not")
	}
	// A new app makes its own codes known, and not those of the token.
	setState(t, s, func(st *mfa.State) { account.BeginApp(st) })
	if _, known := next(t, s); known {
		t.Error("known after an app was set up")
	}
	// Nor does a list that may be older. Two codes in a row end it, and older ones do not.
	takeOver(t, s, tokenTakeover(6), wire.ImportedUnchanged, "")
	if _, known := next(t, s); known {
		t.Error("known after the list was taken over again")
	}
	for first, second := range map[int64]int64{2: 3, 50: 52} {
		if err := s.FindToken(t.Context(), alice, codeAt(t, first), codeAt(t, second), "root"); !errors.Is(err, ErrInvalid) {
			t.Errorf("by the codes of %d and %d: %v", first, second, err)
		}
	}
	if err := s.FindToken(t.Context(), alice, codeAt(t, 5000), codeAt(t, 5001), "root"); err != nil {
		t.Fatal(err)
	}
	if n, known := next(t, s); n != 5002 || !known {
		t.Errorf("next %d, known %v", n, known)
	}
	if err := s.FindToken(t.Context(), ben, codeAt(t, 1), codeAt(t, 2), "root"); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("of nobody: %v", err)
	}
}

// A new key changes how the secret of a token is stored, and nothing for anybody.
func TestResealOfATokenKeepsSessions(t *testing.T) {
	s := newService(t)
	path := filepath.Join(t.TempDir(), "key")
	key, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Accounts = account.New(account.Config{}, account.Deps{Records: s.Accounts.Records(), Key: key, Audit: s.Audit, Log: s.Log, Now: s.Now})
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	setState(t, s, func(st *mfa.State) {
		st.Enrolling = &mfa.Enrolling{ID: "x", Method: mfa.HOTP, Secret: s.Accounts.SealHOTP(alice, []byte("begun-begun-begun-"))}
	})
	remember(t, s)
	was, begun := records(t, s)
	if err := key.Rotate(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts.Reseal(t.Context(), func(int) {}, func(string, error) {}); err != nil {
		t.Fatal(err)
	}
	en, st := records(t, s)
	if secret, err := s.Accounts.OpenHOTP(alice, en.HOTP.Secret); err != nil || string(secret) != string(tokenTakeover(0).Token.Secret) {
		t.Errorf("secret %q, %v", secret, err)
	}
	if en.HOTP.Secret == was.HOTP.Secret || st.Enrolling.Secret == begun.Enrolling.Secret || st.Sessions[0].Enrollment != en.Fingerprint() {
		t.Errorf("%+v of %+v", st.Sessions, en.HOTP)
	}
	if n, known := next(t, s); n != 5 || !known {
		t.Errorf("next %d, known %v", n, known)
	}
}

// Nor does an administrator who enters the same token again bring used codes back where its
// count was lost; another token counts at once.
func TestTokenEnteredAgainIsNotFoundAgain(t *testing.T) {
	s := newService(t)
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	uses(t, s, 20)
	set := func(tok *Token) {
		t.Helper()
		if _, err := s.SetToken(t.Context(), alice, *tok, "root"); err != nil {
			t.Fatal(err)
		}
	}
	if set(tokenTakeover(0).Token); !isNext(t, s, 21) {
		t.Error("entered again, with its count known")
	}
	lost := now.Add(time.Minute)
	setState(t, s, func(st *mfa.State) { *st = mfa.State{UID: st.UID, Since: &lost} })
	set(tokenTakeover(0).Token)
	if n, known := next(t, s); known || n != 5 {
		t.Errorf("entered again: next %d, known %v", n, known)
	}
	other := tokenTakeover(0).Token
	other.Secret, other.Serial = []byte("another-secret-of-hers"), "1"
	if set(other); !isNext(t, s, 0) {
		t.Error("another token")
	}
}

// isNext says whether count is known to be that of the next code of alice's token.
func isNext(t *testing.T, s *Service, count int64) bool {
	t.Helper()
	n, known := next(t, s)
	return known && n == count
}
