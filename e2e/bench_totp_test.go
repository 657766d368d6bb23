package e2e

import (
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msteinert/pam/v2"

	"mfa/internal/factor/otp"
)

// The benchmarks of this file write where writing costs something: on a disk, not
// on the tmpfs of the other tests.

// onDisk returns a folder on the disk that goes with the benchmark.
func onDisk(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "mfa-bench-")
	ok(b, err)
	b.Cleanup(func() { ok(b, os.RemoveAll(dir)) })
	return dir
}

// converse goes once through libpam and answers each prompt by its text.
func converse(b *testing.B, service, user string, answer func(text string) string) {
	b.Helper()
	tx, err := pam.StartFunc(service, user, func(style pam.Style, text string) (string, error) {
		if style == pam.PromptEchoOn || style == pam.PromptEchoOff {
			return answer(text), nil
		}
		return "", nil
	})
	ok(b, err)
	if err := tx.Authenticate(0); err != nil {
		b.Fatalf("%s: %v", service, err)
	}
	ok(b, tx.End())
}

var usual = otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

func totp(b *testing.B, secret []byte, at time.Time) string {
	b.Helper()
	code, err := otp.Code(secret, otp.Step(at, usual.Period), usual)
	ok(b, err)
	return code
}

// BenchmarkTOTPLogin is a login with the code of an authenticator app, one after
// another, each of the next step.
func BenchmarkTOTPLogin(b *testing.B) {
	dir := onDisk(b)
	s, clock := inProcess(b, fmt.Sprintf("store.path = %q", filepath.Join(dir, "store")),
		fmt.Sprintf("secrets.key_file = %q", filepath.Join(dir, "key")),
		fmt.Sprintf("audit.file = %q", filepath.Join(dir, "audit.jsonl")), `log.level = "error"`)
	stackAlone(b, s.module())
	a := newAccount(b, "bench")
	var secret []byte
	key := regexp.MustCompile(`(?m)^Key: ([A-Z2-7 ]+)$`)
	converse(b, "bench", a.name, func(text string) string {
		if m := key.FindStringSubmatch(text); m != nil {
			var err error
			secret, err = otp.ParseSecret(m[1])
			ok(b, err)
			return totp(b, secret, clock.now())
		}
		if strings.HasSuffix(text, "Choice [1]: ") {
			return "1"
		}
		return ""
	})
	for b.Loop() {
		clock.pass(usual.Period)
		converse(b, "bench", a.name, func(string) string { return totp(b, secret, clock.now()) })
	}
}

// BenchmarkGoogleAuthenticator is the same with pam_google_authenticator, which
// keeps used codes in the user's file (DISALLOW_REUSE).
func BenchmarkGoogleAuthenticator(b *testing.B) {
	dir := onDisk(b)
	a := newAccount(b, "bench")
	file := filepath.Join(dir, a.name)
	stackAlone(b, fmt.Sprintf("pam_google_authenticator.so secret=%s user=root", file))
	secret := otp.NewSecret("SHA1")
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret) +
		"\n\" WINDOW_SIZE 3\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n"
	for b.Loop() {
		b.StopTimer() // it goes by the machine's clock, so its memory of the last code is taken away
		_ = os.Remove(file)
		ok(b, os.WriteFile(file, []byte(text), 0o400))
		b.StartTimer()
		converse(b, "bench", a.name, func(string) string { return totp(b, secret, time.Now()) })
	}
}

// BenchmarkLimit is what any module pays that remembers a login: an empty stack
// and one synced overwrite.
func BenchmarkLimit(b *testing.B) {
	stackAlone(b, "pam_permit.so")
	a := newAccount(b, "bench")
	f, err := os.Create(filepath.Join(onDisk(b), "file"))
	ok(b, err)
	defer f.Close()
	data := make([]byte, 200)
	for b.Loop() {
		converse(b, "bench", a.name, func(string) string { return "" })
		_, err := f.WriteAt(data, 0)
		ok(b, err)
		ok(b, f.Sync())
	}
}
