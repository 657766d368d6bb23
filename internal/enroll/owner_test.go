package enroll

import (
	"cmp"
	"errors"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/wire"
)

var ben = mfa.Identity{Name: "ben", UID: 8}

// gives ends the test unless ben is given alice's token, or is refused.
func gives(t *testing.T, s *Service, tok Token, want bool) {
	t.Helper()
	if _, err := s.SetToken(t.Context(), ben, tok, "root"); want != (err == nil) || !want && !errors.Is(err, ErrInvalid) {
		t.Fatalf("given to ben: %v, want %v", err, want)
	}
}

// A token that alice has is nobody else's, by whatever number and whatever way: it would count
// for each by itself, and codes that one used would be good for the other. Once she has it no
// more, it goes on where she was.
func TestATokenIsOneUsers(t *testing.T) {
	s := newService(t)
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	uses(t, s, 20)
	tok := *tokenTakeover(0).Token
	other := tokenTakeover(0)
	other.Token.Serial, other.Replace = "another", true
	gives(t, s, tok, false)
	gives(t, s, *other.Token, false)
	if _, err := s.TakeOver(t.Context(), ben, other, "root"); !errors.Is(err, ErrInvalid) {
		t.Errorf("taken over for ben: %v", err)
	}
	for _, replace := range []bool{false, true} {
		if out, err := s.Shelve(t.Context(), *other.Token, replace, false, "root"); err != nil || out.App != wire.ImportedKept || out.User != "alice" {
			t.Errorf("put on the shelf, replace %v: %+v, %v", replace, out, err)
		}
	}
	if _, err := s.Show(t.Context(), ben); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("ben: %v", err)
	}
	gives(t, s, Token{Secret: []byte("another-secret-of-ben"), Params: usualToken}, true)
	if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
		t.Fatal(err)
	}
	gives(t, s, tok, true)
	if v, err := s.Show(t.Context(), ben); err != nil || v.HOTP.Next != 21 || v.HOTP.Void {
		t.Errorf("ben has %+v, %v", v.HOTP, err)
	}
	if _, err := s.SetToken(t.Context(), alice, tok, "root"); !errors.Is(err, ErrInvalid) {
		t.Errorf("given back to alice: %v", err)
	}
	takeOver(t, s, google(), wire.ImportedNew, wire.ImportedNew) // alice has something else
}

// Nor do a loss of what logins counted and a reset behind it make its used codes good again,
// for her or anybody.
func TestNoResetBringsALostCountBack(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *Service){
		"of her": func(t *testing.T, s *Service) {
			lost := now.Add(time.Minute)
			setState(t, s, func(st *mfa.State) { *st = mfa.State{UID: st.UID, Since: &lost} })
		},
		"of all": func(t *testing.T, s *Service) {
			lost := now.Add(time.Minute)
			setState(t, s, func(st *mfa.State) { *st = mfa.State{UID: st.UID, Since: &lost} })
			forgetOwners(t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
			uses(t, s, 20)
			lose(t, s)
			if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Shelve(t.Context(), *tokenTakeover(0).Token, true, false, "root"); err == nil {
				t.Error("it waits for whoever comes")
			}
			takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
			if n, known := next(t, s); known {
				t.Errorf("alice has it again: next %d", n)
			}
			if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
				t.Fatal(err)
			}
			gives(t, s, *tokenTakeover(0).Token, true)
			if v, err := s.Show(t.Context(), ben); err != nil || !v.HOTP.Void {
				t.Errorf("ben has %+v, %v", v.HOTP, err)
			}
			if err := s.FindToken(t.Context(), ben, codeAt(t, 40), codeAt(t, 41), "root"); err != nil {
				t.Fatal(err)
			}
			if v, err := s.Show(t.Context(), ben); err != nil || v.HOTP.Void || v.HOTP.Next != 42 {
				t.Errorf("ben has %+v, %v", v.HOTP, err)
			}
		})
	}
}

// forgetOwners takes away whose tokens are, and has it noted anew from the enrollments, as in a
// store that is begun anew.
func forgetOwners(t *testing.T, s *Service) {
	t.Helper()
	r := s.Accounts.Records()
	keys, err := r.S.Keys(t.Context(), "meta/token-of/")
	if err != nil || len(keys) != 1 {
		t.Fatalf("%q, %v", keys, err)
	}
	it, err := r.S.Get(t.Context(), keys[0])
	if err == nil {
		err = r.S.Delete(t.Context(), it)
	}
	key, keyErr := seal.Parse(s.Accounts.KeyText())
	if err = cmp.Or(err, keyErr); err == nil {
		err = r.NoteTokens(t.Context(), key, s.Log)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A change that came to nothing keeps a token from nobody, and makes no used code good.
func TestAClaimThatCameToNothing(t *testing.T) {
	s := newService(t)
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	uses(t, s, 20)
	if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
		t.Fatal(err)
	}
	failing := errors.New("it fails")
	_, _, err := s.Accounts.ByAdministrator(ben).Change(t.Context(), account.Change{
		Own: tokenTakeover(0).Token.owned(), Edit: func(*mfa.Enrollment) error { return failing },
	})
	if !errors.Is(err, failing) {
		t.Fatal(err)
	}
	// For the moment it is ben's.
	if _, err := s.SetToken(t.Context(), alice, *tokenTakeover(0).Token, "root"); !errors.Is(err, ErrInvalid) {
		t.Errorf("at the same time: %v", err)
	}
	gives(t, s, *tokenTakeover(0).Token, true)
	if v, err := s.Show(t.Context(), ben); err != nil || v.HOTP.Next != 21 || v.HOTP.Void {
		t.Errorf("ben has %+v, %v", v.HOTP, err)
	}
}

// A token is on the shelf under one number, of which the last counts.
func TestATokenHasOneNumber(t *testing.T) {
	s := newService(t)
	shelve := func(serial string, replace, dry bool, want string) {
		t.Helper()
		tok := *tokenTakeover(0).Token
		tok.Serial = serial
		out, err := s.Shelve(t.Context(), tok, replace, dry, "root")
		if (want == "") != errors.Is(err, ErrInvalid) || out.App != want {
			t.Errorf("number %s: %+v, %v; want %q", serial, out, err, want)
		}
	}
	waits := func(serial string, want bool) {
		t.Helper()
		if _, _, ok, err := s.Accounts.Shelved(t.Context(), serial, ben); ok != want || err != nil {
			t.Errorf("number %s waits: %v, %v", serial, ok, err)
		}
	}
	shelve("A", false, false, wire.ImportedNew)
	shelve("A", false, false, wire.ImportedUnchanged)
	shelve("B", false, false, "")
	shelve("B", true, true, wire.ImportedNew)
	waits("A", true)
	shelve("B", true, false, wire.ImportedNew)
	waits("A", false)
	waits("B", true)
	// Given to alice by its secret, it waits no more.
	tok := *tokenTakeover(0).Token
	tok.Serial = ""
	if _, err := s.SetToken(t.Context(), alice, tok, "root"); err != nil {
		t.Fatal(err)
	}
	waits("B", false)
}

// A token that a restore brings back is not new: where what was used since the backup is not
// known, it counts for nobody, and what somebody else has is not restored.
func TestARestoredTokenIsNotNew(t *testing.T) {
	s := newService(t)
	takeOver(t, s, tokenTakeover(5), wire.ImportedNew, "")
	b := backup(t, s)
	lost := now.Add(time.Minute)
	begun := newService(t)
	setState(t, begun, func(st *mfa.State) { *st = mfa.State{UID: alice.UID, Since: &lost} })
	b.restore(t, begun, wire.RestoredNew)
	if n, known := next(t, begun); known {
		t.Errorf("next %d", n)
	}
	if _, err := s.Reset(t.Context(), "alice", "root"); err != nil {
		t.Fatal(err)
	}
	gives(t, s, *tokenTakeover(0).Token, true)
	head := b.head
	if result, err := s.Restore(t.Context(), &alice, head, b.users["alice"], false, "root"); !errors.Is(err, ErrInvalid) {
		t.Errorf("restored, though ben has it: %q, %v", result, err)
	}
}
