package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/msteinert/pam/v2"
)

// stackAlone writes /etc/pam.d/bench with these auth lines, and takes the modules
// out of /etc/pam.d/other, which libpam loads at each start beside every service:
// what is measured is the stack, and not pam_unix.
func stackAlone(b *testing.B, auth string) {
	b.Helper()
	other, err := os.ReadFile("/etc/pam.d/other")
	ok(b, err)
	b.Cleanup(func() { ok(b, os.WriteFile("/etc/pam.d/other", other, 0o644)) })
	ok(b, os.WriteFile("/etc/pam.d/other", []byte("auth required pam_deny.so\n"), 0o644))
	ok(b, os.WriteFile("/etc/pam.d/bench", []byte("auth required "+auth+"\n"), 0o644))
}

// authenticate goes once through pam_start, pam_authenticate and pam_end. The
// answers are what answer says.
func authenticate(b *testing.B, service, user string, answer func() (string, error)) {
	b.Helper()
	tx, err := pam.StartFunc(service, user, func(style pam.Style, _ string) (string, error) {
		if style == pam.PromptEchoOn || style == pam.PromptEchoOff {
			return answer()
		}
		return "", nil
	})
	ok(b, err)
	if err := tx.Authenticate(0); err != nil {
		b.Fatalf("%s: %v", service, err)
	}
	ok(b, tx.End())
}

// nobodyAsks is the answer where no prompt may come.
func nobodyAsks() (string, error) { return "", fmt.Errorf("a prompt that nobody expects") }

// BenchmarkEmptyStack is libpam alone: what every login costs anyway.
func BenchmarkEmptyStack(b *testing.B) {
	stackAlone(b, "pam_permit.so")
	a := newAccount(b, "bench")
	for b.Loop() {
		authenticate(b, "bench", a.name, nobodyAsks)
	}
}

// BenchmarkRelay is the module and the daemon with nothing to decide.
func BenchmarkRelay(b *testing.B) {
	s := newSite(b)
	s.settings["policy.mode"] = `"off"`
	s.settings["log.level"] = `"error"`
	stackAlone(b, s.module("exempt=success"))
	s.startDaemon()
	a := newAccount(b, "bench")
	for b.Loop() {
		authenticate(b, "bench", a.name, nobodyAsks)
	}
}

// BenchmarkEmailLogin is a whole login with a code, typed as soon as the mail is
// in the outbox; it holds the daemon's own pause before the prompt.
func BenchmarkEmailLogin(b *testing.B) {
	const perUser = 100 // codes, the most that code.max_sends allows
	s := newSite(b)
	s.settings["code.max_sends"] = fmt.Sprint(perUser)
	s.settings["log.level"] = `"error"`
	stackAlone(b, s.module())
	s.startDaemon()
	var a account
	for n := 0; b.Loop(); n++ {
		if n%perUser == 0 {
			b.StopTimer()
			ok(b, os.RemoveAll(s.path("outbox/new")))
			ok(b, os.MkdirAll(s.path("outbox/new"), 0o700))
			a = s.newUser(fmt.Sprintf("bench%d-", n/perUser))
			b.StartTimer()
		}
		authenticate(b, "bench", a.name, func() (string, error) { return s.waitCode(a.email, n%perUser+1) })
	}
}
