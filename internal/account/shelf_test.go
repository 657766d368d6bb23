package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"mfa/internal/account"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

var (
	shelvedSecret = []byte("12345678901234567890")
	tokenOf7      = account.Shelved{Serial: "7", Algorithm: "SHA1", Digits: 6, Count: 5}
)

// shelve ends the test unless there was, and was the same, what is wanted.
func (w *harness) shelve(t account.Shelved, secret []byte, replace, dry, there, same bool) *account.Shelved {
	w.t.Helper()
	was, is, err := w.Shelve(w.t.Context(), t, secret, replace, dry)
	if err != nil || (was != nil) != there || is != same {
		w.t.Errorf("was %+v, the same %v, %v; want %v, %v", was, is, err, there, same)
	}
	return was
}

// A token waits for one user, whoever comes first, and what is brought in again takes it
// from nobody.
func TestShelf(t *testing.T) {
	w := newHarness(t, strict())
	ann, ben := mfa.Identity{Name: "ann", UID: 7}, mfa.Identity{Name: "ben", UID: 8}
	has := func(id mfa.Identity, want bool, count int64) {
		t.Helper()
		kept, secret, ok, err := w.Shelved(t.Context(), "7", id)
		if err != nil || ok != want || ok && (string(secret) != string(shelvedSecret) || kept.Count != count) {
			t.Errorf("for %s: %+v, %q, %v, %v", id.Name, kept, secret, ok, err)
		}
	}
	w.shelve(tokenOf7, shelvedSecret, false, true, false, false)
	has(ann, false, 0)
	w.shelve(tokenOf7, shelvedSecret, false, false, false, false)
	has(ann, true, 5)
	older := tokenOf7
	older.Count = 1
	w.shelve(older, shelvedSecret, false, false, true, true)
	has(ann, true, 5)
	w.shelve(tokenOf7, []byte("another-secret-of-it"), false, false, true, false)
	has(ann, true, 5)
	if err := w.Take(t.Context(), "7", []byte("another-secret-of-it"), ann); !errors.Is(err, account.ErrTaken) {
		t.Errorf("by another secret: %v", err)
	}
	if err := w.Take(t.Context(), "7", shelvedSecret, ann); err != nil {
		t.Fatal(err)
	}
	has(ann, true, 5)
	has(ben, false, 0)
	has(mfa.Identity{Name: "ann", UID: 9}, false, 0) // another account of the name
	if err := w.Take(t.Context(), "7", shelvedSecret, ben); !errors.Is(err, account.ErrTaken) {
		t.Errorf("by another: %v", err)
	}
	if err := w.Claim(t.Context(), "7", shelvedSecret, ben, false); !errors.Is(err, account.ErrTaken) {
		t.Errorf("claimed for another: %v", err)
	}
	w.shelve(tokenOf7, shelvedSecret, false, false, true, true)
	has(ben, false, 0)
	// Put there anew it goes on where its user was.
	err := w.Records().Account(ann).Update(t.Context(), func(st *mfa.State) error {
		factor.KeepCount(st, mfa.TokenCount{Token: otp.TokenName(shelvedSecret), Next: 40})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if was := w.shelve(tokenOf7, shelvedSecret, true, false, true, true); !was.Taken.By(ann) {
		t.Errorf("taken by %+v", was.Taken)
	}
	has(ben, true, 40)
	if err := w.Claim(t.Context(), "8", shelvedSecret, ben, false); err != nil {
		t.Errorf("of what is not there: %v", err)
	}
	if err := w.Claim(t.Context(), "7", shelvedSecret, ben, false); err != nil {
		t.Errorf("%v", err)
	}
	has(ann, false, 0)
}

// Of many who prove the same token at the same time, one has it.
func TestOneTakesAToken(t *testing.T) {
	w := newHarness(t, strict())
	w.shelve(tokenOf7, shelvedSecret, false, false, false, false)
	var taken atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if w.Take(t.Context(), "7", shelvedSecret, mfa.Identity{Name: "user", UID: uint32(i)}) == nil {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("%d have it", taken.Load())
	}
}

// A new key is the shelf's too.
func TestResealOfTheShelf(t *testing.T) {
	w := newHarness(t, strict())
	path := filepath.Join(t.TempDir(), "key")
	key, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	a := account.New(account.Config{}, account.Deps{Records: w.Records(), Key: key})
	if _, _, err := a.Shelve(t.Context(), tokenOf7, shelvedSecret, false, false); err != nil {
		t.Fatal(err)
	}
	if err := key.Rotate(path); err != nil {
		t.Fatal(err)
	}
	total, done := 0, 0
	if err := a.Reseal(t.Context(), func(n int) { total = n }, func(string, error) { done++ }); err != nil || total != done || total == 0 {
		t.Fatalf("%d of %d, %v", done, total, err)
	}
	newest, err := seal.LoadFor(path, os.Geteuid(), "")
	if err == nil {
		err = newest.Forget(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := account.New(account.Config{}, account.Deps{Records: w.Records(), Key: newest})
	if _, secret, ok, err := b.Shelved(t.Context(), "7", mfa.Identity{}); !ok || err != nil || string(secret) != string(shelvedSecret) {
		t.Errorf("%q, %v, %v", secret, ok, err)
	}
}
