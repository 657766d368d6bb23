package app

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mfa/internal/enroll"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// hasApp gives the user an app, and returns who they are.
func (r *running) hasApp() mfa.Identity {
	r.t.Helper()
	id, err := nss.Lookup(r.t.Context(), r.user)
	if err == nil {
		_, err = r.cur.Load().enroll.TakeOver(r.t.Context(), id, enroll.Takeover{
			Source: "google-authenticator", Secret: []byte("12345678901234567890"),
			Params: otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"},
		}, "test")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// rotate changes the key, and ends the test unless that wants want.
func (r *running) rotate(want string) {
	r.t.Helper()
	err := r.keyLife.Rotate(r.t.Context(), func(int) {}, func(string, error) {})
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		r.t.Fatalf("rotate: %v, want %q", err, want)
	}
}

// expectOpen ends the test unless the key file alone opens the app of id.
func (r *running) expectOpen(id mfa.Identity, former int) {
	r.t.Helper()
	key, err := seal.LoadFor(r.cfg.Secrets.KeyFile, os.Geteuid(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	en, err := r.records.Enrollment(r.t.Context(), id.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	if plain, err := key.Open(en.TOTP.Secret, id.Name, "totp.secret"); err != nil || string(plain) != "12345678901234567890" {
		r.t.Errorf("%q, %v", plain, err)
	}
	if key.Former() != former {
		r.t.Errorf("%d former keys in the file, want %d", key.Former(), former)
	}
}

func TestFormerKeyIsForgotten(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)), func(o *Options) { o.keyNeeded = func() time.Duration { return 0 } })
	id := r.hasApp()
	r.rotate("")
	for late := time.Now().Add(patience); r.key.Former() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the former key is never forgotten")
		}
	}
	r.expectOpen(id, 0)
}

// Cut short anywhere, all is readable, and the next start goes on with it.
func TestRotationCutShort(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	r := run(t, cfg)
	id := r.hasApp()
	if err := r.key.Rotate(cfg.Secrets.KeyFile); err != nil { // and then the power fails
		t.Fatal(err)
	}
	r.expectOpen(id, 1)
	r.end()
	for range r.states {
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}

	again := run(t, cfg)
	again.expectOpen(id, 1)
	noted, err := again.store.Get(t.Context(), "meta/key")
	if err != nil || string(noted.Value) != again.key.ID() {
		t.Errorf("noted %q, %v; want %s", noted.Value, err, again.key.ID())
	}
	if err := again.keyLife.ForgetFormer(t.Context()); err != nil { // what its time brings
		t.Fatal(err)
	}
	again.expectOpen(id, 0)
}

// A record that cannot be read may need the former key: then that one stays.
func TestFormerKeyStaysForABrokenRecord(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	id := r.hasApp()
	r.rotate("")
	r.expectOpen(id, 1)
	if _, err := r.store.Put(t.Context(), store.Item{Key: store.States + "broken", Value: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if err := r.keyLife.ForgetFormer(t.Context()); err == nil {
		t.Error("forgotten")
	}
	r.expectOpen(id, 1)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := r.keyLife.Rotate(ended, func(int) {}, func(string, error) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("rotate after the end: %v", err)
	}
	r.expectOpen(id, 2)
}

// The time at which the key was changed counts, not that at which mfad was started.
func TestFormerKeyIsKeptFromItsChangeOn(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	r.rotate("")
	if left := r.keyLife.Left(); left < 24*time.Hour || left > 25*time.Hour {
		t.Errorf("kept for %v: recovery codes are good for a day", left)
	}
	then := time.Now().Add(-20 * time.Hour)
	if err := os.Chtimes(r.cfg.Secrets.KeyFile, then, then); err != nil {
		t.Fatal(err)
	}
	if left := r.keyLife.Left(); left < 4*time.Hour || left > 5*time.Hour {
		t.Errorf("kept for %v more, 20 h after the change", left)
	}
}
