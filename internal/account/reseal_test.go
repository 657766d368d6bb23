package account_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// withApps gives so many users an app each, with a session that it was proven for and a
// second app that is being set up. It returns their names.
func (w *harness) withApps(n int) (names []string) {
	w.t.Helper()
	for i := range n {
		id := mfa.Identity{Name: fmt.Sprint("user", i), UID: uint32(2000 + i)}
		en := mfa.Enrollment{UID: id.UID, TOTP: &mfa.TOTPSecret{Secret: w.SealTOTP(id, []byte("secret of "+id.Name)), Algorithm: "SHA1", Digits: 6}}
		err := w.Records().UpdateEnrollment(w.t.Context(), id.Name, become(en))
		if err == nil {
			err = w.Records().Account(id).Update(w.t.Context(), func(st *mfa.State) error {
				st.Enrolling = &mfa.Enrolling{ID: "one", Method: mfa.TOTP, Secret: w.SealTOTP(id, []byte("next of "+id.Name))}
				st.Sessions = []mfa.Session{{ID: "now", Enrollment: en.Fingerprint()}, {ID: "former", Enrollment: "of another app"}}
				return nil
			})
		}
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, id.Name)
	}
	return names
}

// open says whether the secrets of a user open, and their session counts still.
func (w *harness) open(name string) error {
	w.t.Helper()
	id := mfa.Identity{Name: name}
	en, err := w.Records().Enrollment(w.t.Context(), name)
	if err != nil {
		return err
	}
	st, err := w.Records().State(w.t.Context(), name)
	if err != nil {
		return err
	}
	for sealed, want := range map[string]string{en.TOTP.Secret: "secret of " + name, st.Enrolling.Secret: "next of " + name} {
		if plain, err := w.OpenTOTP(id, sealed); err != nil || string(plain) != want {
			return fmt.Errorf("%q, %w", plain, err)
		}
	}
	if st.Sessions[0].Enrollment != en.Fingerprint() || st.Sessions[1].Enrollment != "of another app" {
		return fmt.Errorf("sessions %+v of %s", st.Sessions, en.Fingerprint())
	}
	return nil
}

func (w *harness) rotate() {
	w.t.Helper()
	if err := w.key.Rotate(w.file); err != nil {
		w.t.Fatal(err)
	}
}

func (w *harness) forget() {
	w.t.Helper()
	if err := w.key.Forget(w.file); err != nil {
		w.t.Fatal(err)
	}
}

// Where nothing was sealed anew, a key that is forgotten takes the apps with it.
func TestForgottenKeyOpensNothing(t *testing.T) {
	w := newHarness(t, strict())
	w.withApps(1)
	w.rotate()
	w.forget()
	if w.open("user0") == nil {
		t.Error("opened with a key that is forgotten")
	}
}

// After it all opens with the new key alone; sessions go on, and so does a conversation that
// saw the user before.
func TestReseal(t *testing.T) {
	w := newHarness(t, strict())
	names := w.withApps(3)
	acct := w.Records().Account(mfa.Identity{Name: "user0", UID: 2000})
	u := w.User(acct, home)
	st, err := acct.State(t.Context())
	en, err2 := w.Records().Enrollment(t.Context(), "user0")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	u.See(st, en)
	w.rotate()
	total, done := 0, []string(nil)
	err = w.Reseal(t.Context(), func(n int) { total = n }, func(user string, err error) {
		if err != nil {
			t.Errorf("%s: %v", user, err)
		}
		done = append(done, user)
	})
	if err != nil || total != 3 || !slices.Equal(done, names) {
		t.Errorf("%v: %q of %d", err, done, total)
	}
	if err := u.Unchanged(t.Context()); err != nil {
		t.Errorf("a conversation of before: %v", err)
	}
	w.forget()
	for _, name := range names {
		if err := w.open(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One that was interrupted leaves all readable, and goes on.
func TestResealInterrupted(t *testing.T) {
	w := newHarness(t, strict())
	names := w.withApps(3)
	w.rotate()
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	err := w.Reseal(ctx, func(int) {}, func(string, error) { done++; cancel() })
	if !errors.Is(err, context.Canceled) || done != 1 {
		t.Errorf("%v after %d users", err, done)
	}
	for _, name := range names {
		if err := w.open(name); err != nil {
			t.Errorf("in between, %s: %v", name, err)
		}
	}
	first := stored(t, w.Records(), store.Users+"user0")
	if err := w.Reseal(t.Context(), func(int) {}, func(string, error) {}); err != nil {
		t.Fatal(err)
	}
	if stored(t, w.Records(), store.Users+"user0") != first {
		t.Error("what needed no former key was sealed once more")
	}
	w.forget()
	for _, name := range names {
		if err := w.open(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An error with one user is told, and stands in the way of nobody else. A secret
// that no key opens is left as it is: an older key may come back.
func TestResealPastWhatIsBroken(t *testing.T) {
	w := newHarness(t, strict())
	w.withApps(4)
	put(t, w.Records(), store.Users+"user0", "[")
	put(t, w.Records(), store.States+"user1", "{")
	alien := w.SealTOTP(mfa.Identity{Name: "mallory"}, []byte("alien"))
	err := w.Records().UpdateEnrollment(t.Context(), "user2", func(en *mfa.Enrollment) error { en.TOTP.Secret = alien; return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.rotate()
	var failed []string
	err = w.Reseal(t.Context(), func(int) {}, func(user string, err error) {
		if err != nil {
			failed = append(failed, user)
		}
	})
	if err == nil || !slices.Equal(failed, []string{"user0", "user1"}) {
		t.Errorf("%v; failed %q", err, failed)
	}
	if en, err := w.Records().Enrollment(t.Context(), "user2"); err != nil || en.TOTP.Secret != alien {
		t.Errorf("became %+v, %v", en.TOTP, err)
	}
	w.forget()
	if err := w.open("user3"); err != nil {
		t.Errorf("the next user: %v", err)
	}
}

// tagged is a store with tags, of which it is counted how often they were written anew.
type tagged struct {
	*storetest.Memory
	times int
	err   error
}

func (s *tagged) Retag(context.Context) error { s.times++; return s.err }

// life is that of the harness's key.
func (w *harness) life(s *tagged) *account.KeyLife {
	return account.NewKeyLife(w.key, w.file, s, func() *account.Accounts { return w.Accounts }, slog.New(slog.DiscardHandler))
}

// former is how many former keys the file keeps, for the next start.
func (w *harness) former() int {
	w.t.Helper()
	key, err := seal.LoadFor(w.file, os.Geteuid(), w.key.ID())
	if err != nil {
		w.t.Fatal(err)
	}
	if key.ID() != w.key.ID() || key.Former() != w.key.Former() {
		w.t.Errorf("the file has %q, the daemon %q", key.IDs(), w.key.IDs())
	}
	return key.Former()
}

// A change of the key is noted in the store, seals all anew, and keeps the former key as long
// as a code is good that was made with it; then it goes, by itself.
func TestKeyLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHarness(t, strict())
		names := w.withApps(2)
		s := &tagged{Memory: w.store}
		life := w.life(s)
		life.Needed = func() time.Duration { return time.Hour }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); life.Run(ctx) }()
		before, done := w.key.ID(), 0
		if err := life.Rotate(t.Context(), func(int) {}, func(string, error) { done++ }); err != nil || done != 2 || s.times != 1 {
			t.Errorf("%v: %d users, %d times tagged", err, done, s.times)
		}
		if got := stored(t, w.Records(), "meta/key"); got != w.key.ID() || got == before {
			t.Errorf("noted %q, is %q, was %q", got, w.key.ID(), before)
		}
		synctest.Wait()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if w.former() != 1 {
			t.Error("the former key went before its time")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w.former() != 0 || s.times != 2 {
			t.Errorf("after its time there are %d former keys, tagged %d times", w.former(), s.times)
		}
		cancel()
		<-ended
		for _, name := range names {
			if err := w.open(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A former key stays where something would be lost with it, and a daemon that starts with
// one forgets it later.
func TestFormerKeyIsKept(t *testing.T) {
	away := errors.New("the disk is on fire")
	for name, spoil := range map[string]func(w *harness, s *tagged){
		"a record cannot be read":  func(w *harness, _ *tagged) { put(t, w.Records(), store.Users+"user0", "[") },
		"the tags are not written": func(_ *harness, s *tagged) { s.err = away },
		"the store is away":        func(w *harness, _ *tagged) { w.store.Fail(away) },
	} {
		w := newHarness(t, strict())
		w.withApps(1)
		whole := stored(t, w.Records(), store.Users+"user0")
		w.rotate()
		s := &tagged{Memory: w.store}
		spoil(w, s)
		if err := w.life(s).ForgetFormer(t.Context()); err == nil || w.former() != 1 {
			t.Errorf("%s: %v, %d former keys", name, err, w.former())
		}
		s.err = nil
		w.store.Fail(nil)
		put(t, w.Records(), store.Users+"user0", whole)
		synctest.Test(t, func(t *testing.T) { // the next start
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			life := w.life(s)
			go func() { defer close(ended); life.Run(ctx) }()
			time.Sleep(25 * time.Hour)
			synctest.Wait()
			if w.former() != 0 {
				t.Errorf("%s: %d former keys after it was mended", name, w.former())
			}
			cancel()
			<-ended
		})
	}
}

// A change that another follows waits for that one's time, and one that fails has changed
// nothing that its next try does not.
func TestKeyChangesAgain(t *testing.T) {
	w := newHarness(t, strict())
	w.withApps(1)
	s := &tagged{Memory: w.store}
	life := w.life(s)
	s.err = errors.New("the disk is on fire")
	nothing := func(int) {}
	if err := life.Rotate(t.Context(), nothing, func(string, error) {}); !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
	if err := w.open("user0"); err != nil || w.former() != 1 {
		t.Errorf("after a change that failed: %v, %d former keys", err, w.former())
	}
	s.err = nil
	if err := life.Rotate(t.Context(), nothing, func(string, error) {}); err != nil {
		t.Fatal(err)
	}
	if err := life.ForgetFormer(t.Context()); err != nil || w.former() != 2 {
		t.Errorf("forgotten before their time: %v, %d former keys", err, w.former())
	}
}

// How long a former key is needed counts from the change of the file, over restarts.
func TestKeyLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHarness(t, strict())
		life := w.life(&tagged{Memory: w.store})
		changed := time.Now().Add(-time.Hour)
		if err := os.Chtimes(w.file, changed, changed); err != nil {
			t.Fatal(err)
		}
		if got, want := life.Left(), 23*time.Hour+15*time.Minute; got != want { // a recovery code is good for a day
			t.Errorf("%v left, not %v", got, want)
		}
		life.Needed = func() time.Duration { return 30 * time.Minute }
		if got := life.Left(); got != -30*time.Minute {
			t.Errorf("%v left", got)
		}
		if err := os.Remove(w.file); err != nil {
			t.Fatal(err)
		}
		if got := life.Left(); got != 30*time.Minute {
			t.Errorf("without a file %v left", got)
		}
	})
}
