package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/config"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// A spender logs in with what it has: the code of an app, or else a backup code, as
// the prompt wants it.
type spender struct{ app, backup string }

// Prompt implements mfa.Prompter. It answers each question once more than needed and
// then goes away.
func (s *spender) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	switch {
	case p.Kind != mfa.Ask && p.Kind != mfa.AskHidden:
		return "", nil
	case strings.Contains(p.Text, "Choice ["):
		for line := range strings.Lines(p.Text) {
			if number, what, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && strings.Contains(what, "ackup") {
				return number, nil
			}
		}
	case strings.HasSuffix(p.Text, "Backup code: ") && s.backup != "":
		code := s.backup
		s.backup = ""
		return code, nil
	case strings.Contains(p.Text, "app shows") && s.app == "" && s.backup != "":
		return "m", nil
	case strings.Contains(p.Text, "Code") && s.app != "":
		code := s.app
		s.app = ""
		return code, nil
	}
	return "", mfa.ErrNoConversation
}

// attempt is one login of user by su, which has no first factor of its own here.
func attempt(t *testing.T, a *App, user string, s spender) mfa.Verdict {
	t.Helper()
	v, _ := a.cur.Load().engine.Login(t.Context(), mfa.Request{Service: "su", User: user}, &s) // the verdict says all
	return v
}

// spent is a store in which a user has used a code of an app and a backup code, and is
// locked, each by a real login, the lock being the last thing that was written.
type spent struct {
	cfg         config.Config
	user        string
	app, backup string // codes that are used
	at          time.Time
	truth       mfa.State
}

func (s *spent) open() (*App, error) {
	return New(s.cfg, Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.at }})
}

func newSpent(t *testing.T) *spent {
	t.Helper()
	s := &spent{cfg: goodConfig(shortDir(t)), user: "root", at: time.Now().Truncate(time.Minute).Add(10 * time.Second)}
	s.cfg.Lockout.Failures = 2
	a, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	id, err := nss.Lookup(t.Context(), s.user)
	if err != nil {
		t.Fatal(err)
	}
	secret := otp.NewSecret("SHA1")
	codes, set, err := factor.NewBackupSet(rand.NewChaCha8([32]byte{1}), 5)
	if err != nil {
		t.Fatal(err)
	}
	set.Made = s.at.Add(-time.Hour)
	err = a.records.UpdateEnrollment(t.Context(), s.user, func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{Version: mfa.EnrollmentVersion, UID: id.UID, Backup: &set, TOTP: &mfa.TOTPSecret{
			Secret: a.accounts().SealTOTP(id, secret), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second), Confirmed: s.at,
		}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.app, err = otp.Code(secret, otp.Step(s.at, 30*time.Second), otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"})
	if err != nil {
		t.Fatal(err)
	}
	s.backup = codes[0]
	bad := string('0'+(s.app[0]-'0'+1)%10) + s.app[1:]
	for _, step := range []struct {
		s    spender
		want mfa.Outcome
	}{
		{spender{app: s.app}, mfa.Accepted},
		{spender{backup: s.backup}, mfa.Accepted},
		{spender{app: bad}, mfa.WrongCode},
		{spender{app: bad}, mfa.Exhausted},
	} {
		if v := attempt(t, a, s.user, step.s); v.Outcome != step.want {
			t.Fatalf("%+v: %v, %s; want %v", step.s, v.Outcome, v.Reason, step.want)
		}
	}
	if s.truth, err = a.records.StoredState(t.Context(), s.user); err != nil {
		t.Fatal(err)
	}
	if _, _, locked := s.truth.Locked(s.at); !locked || s.truth.TOTPStep == 0 || len(s.truth.BackupUsed) != 1 {
		t.Fatalf("nothing is spent: %+v", s.truth)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// tryAll ends the test if anything that is spent is accepted, or the lock is gone. An
// administrator who unlocks opens the way to what was not spent alone.
func (s *spent) tryAll(t *testing.T, a *App, where string) {
	t.Helper()
	for range 2 {
		for _, with := range []spender{{app: s.app}, {backup: s.backup}} {
			if v := attempt(t, a, s.user, with); !v.Refuses() {
				t.Errorf("%s: %+v lets in: %s", where, with, v.Reason)
			}
		}
		if _, err := a.accounts().Unlock(t.Context(), s.user, "root"); err != nil {
			t.Errorf("%s: unlock: %v", where, err)
		}
	}
}

// Whichever bit of the database flips, what a real login spent stays spent, and the
// lock stays: the daemon does not start, the user is denied, or the truth is read.
func TestNoBitOfTheDatabaseUndoesALogin(t *testing.T) {
	s := newSpent(t)
	path := filepath.Join(s.cfg.Store.Path, "state.db")
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const seed = 20260517
	chance := rand.New(rand.NewPCG(seed, seed))
	var bits []int
	for range 400 {
		bits = append(bits, chance.IntN(len(image)*8))
	}
	at := bytes.LastIndex(image, []byte(`"totp_step"`)) // in the user's record, or one that was
	if at < 0 {
		t.Fatal("the record is not in the file")
	}
	for n := bytes.Count(image, []byte(`"totp_step"`)); n > 0; n-- {
		for range 200 / n {
			bits = append(bits, (at-500+chance.IntN(800))*8+chance.IntN(8))
		}
		at = bytes.LastIndex(image[:at], []byte(`"totp_step"`))
	}
	for _, page := range []int{0, os.Getpagesize()} { // the meta pages
		for range 60 {
			bits = append(bits, (page+chance.IntN(80))*8+chance.IntN(8))
		}
	}
	bits = slices.DeleteFunc(bits, func(bit int) bool { return bit < 0 || bit >= len(image)*8 })
	refused, denied, same := 0, 0, 0
	for _, bit := range bits {
		changed := slices.Clone(image)
		changed[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := s.open()
		if err != nil {
			refused++
			continue
		}
		where := fmt.Sprintf("bit %d of byte %d", bit%8, bit/8)
		st, err := a.records.StoredState(t.Context(), s.user)
		switch {
		case errors.Is(err, store.ErrUnreadable):
			if denied++; denied%20 == 1 {
				s.tryAll(t, a, where)
			}
		case err == nil && reflect.DeepEqual(st, s.truth):
			if same++; same%250 == 1 {
				s.tryAll(t, a, where)
			}
		default:
			t.Errorf("%s: %+v, %v", where, st, err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	t.Logf("seed %d, %d bits of %d: %d times refused, %d denied, %d the truth", seed, len(bits), len(image)*8, refused, denied, same)
	if refused == 0 || same == 0 {
		t.Error("the test tests nothing")
	}
}
