package app

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/deliver"
	"mfa/internal/deliver/sms"
	"mfa/internal/deliver/smtp"
	"mfa/internal/deliver/spend"
	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// Each is what somebody types, and what is kept of it; "" if it is refused.
var typedContacts = map[mfa.Method]map[string]string{
	mfa.Email: {
		"alice@example.com":                      "alice@example.com",
		" alice@example.com\t":                   "alice@example.com",
		"a.b+c@mail.example":                     "a.b+c@mail.example",
		"o'brien@example.com":                    "o'brien@example.com",
		"alice@localhost":                        "alice@localhost",
		"alice@my_host.example":                  "alice@my_host.example",
		"alice@[192.0.2.1]":                      "alice@[192.0.2.1]",
		"-f@example.com":                         "-f@example.com",
		"ä@exämple.com":                          "ä@exämple.com",
		"alice@نامه\u200cای.example":             "alice@نامه\u200cای.example",
		strings.Repeat("l", 65) + "@example.com": strings.Repeat("l", 65) + "@example.com",

		"":                                   "",
		"alice":                              "",
		"alice@":                             "",
		"@example.com":                       "",
		"alice@@example.com":                 "",
		"alice@example.com.":                 "",
		"alice@example..com":                 "",
		"<alice@example.com>":                "",
		"Alice <alice@example.com>":          "",
		"alice@example.com (home)":           "",
		"alice@ example.com":                 "",
		"alice @example.com":                 "",
		"home:alice@example.com;":            "",
		"alice@example.com, eve@example.com": "",
		`"alice"@example.com`:                "",
		`"a b"@example.com`:                  "",
		`"a@b"@example.com`:                  "",
		"alice@example.com\r\nBcc: eve@example.com": "",
		"alice@example.com\x00":                     "",
		"alice\u0085@example.com":                   "",
		"alice@example.com\u200b":                   "",
		"\u202ealice@example.com":                   "",
		"alice\u00a0b@example.com":                  "",
		"alice@exam\u2028ple.com":                   "",
		"alice\xff@example.com":                     "",
		"alice@exa!mple.com":                        "",
		"alice@example.com'":                        "",
		"alice@example.com/home":                    "",
		"alice@-example.com":                        "",
		"alice@example-.com":                        "",
		"alice@[2001:db8::1]":                       "",
		"alice@" + strings.Repeat("d", 64) + ".com": "",
		strings.Repeat("l", 243) + "@example.com":   "",
	},
	mfa.SMS: {
		"+17891234567":      "+17891234567",
		" +1 415 555 2671 ": "+14155552671",
		"+6834123":          "+6834123",
		"+491811234567890":  "+491811234567890",

		"":                  "",
		"+":                 "",
		"+1":                "",
		"+12345":            "",
		"17891234567":       "",
		"+07891234567":      "",
		"+1-789-123-4567":   "",
		"+４９1701234567":     "",
		"+4918156921777060": "", // the plan of Germany has it, and it has 16 digits
		"+4916912345678901": "",
		"+1789123456700000": "",
	},
}

// unreachable are addresses that earlier versions wrote down. They are read: a user who logs
// in by an app is not shut out. Nothing is sent there.
var unreachable = []string{
	"alice@example.com'", "alice@exa!mple.com", "alice@example.com/home", "alice@-example.com", "alice@example-.com",
	"alice@[2001:db8::1]", "alice@example.com\u200b", "\u202ealice@example.com", "alice\u00a0b@example.com",
	"alice@exam\u2028ple.com", "alice\u0085@example.com",
	"alice@" + strings.Repeat("d", 64) + ".com", strings.Repeat("l", 243) + "@example.com",
}

// TestContactsHaveOneShape holds every place that reads an address or a number to one
// rule: nobody confirms what a carrier then refuses, and nobody is refused what one takes.
func TestContactsHaveOneShape(t *testing.T) {
	dir := shortDir(t)
	a := run(t, goodConfig(dir))
	alice, err := nss.Lookup(t.Context(), a.user)
	if err != nil {
		t.Fatal(err)
	}
	carriers := contactCarriers(t, dir)
	ledger := &spend.Ledger{
		Hash: func(number string) string { return number },
		Update: func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
			return store.Update(ctx, &storetest.Memory{}, key, fn)
		},
	}
	for method, inputs := range typedContacts {
		for typed, want := range inputs {
			err := a.cur.Load().enroll.SetContact(t.Context(), alice, method, typed, "root")
			if (err == nil) != (want != "") || err != nil && !errors.Is(err, enroll.ErrInvalid) {
				t.Errorf("entered %q: %v, want %q", typed, err, want)
			}
			for _, to := range []string{typed, want} {
				kept := to == want && want != ""
				if err := carriers[method].Send(t.Context(), mfa.Message{ID: "m1", Carrier: method, To: to, Subject: "s", Text: "t"}); (err == nil) != kept {
					t.Errorf("sent to %q: %v", to, err)
				}
				var en mfa.Enrollment
				en.SetContact(method, &mfa.Address{Address: to})
				if _, err := record.EncodeEnrollment("alice", en); (err == nil) != (kept || slices.Contains(unreachable, to)) {
					t.Errorf("written down %q: %v", to, err)
				}
				if method != mfa.SMS {
					continue
				}
				if err := ledger.Reserve(t.Context(), "alice", to, false); (err == nil) != kept {
					t.Errorf("paid for %q: %v", to, err)
				}
			}
		}
	}
}

// contactCarriers returns carriers that take whatever they do not refuse themselves.
func contactCarriers(t *testing.T, dir string) map[mfa.Method]deliver.Sender {
	t.Helper()
	email, err := smtp.New(deliver.EmailConfig{
		Transport: deliver.TransportOutbox, Outbox: deliver.OutboxConfig{Path: filepath.Join(dir, "contacts")},
	}, smtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := sms.New(deliver.SMSConfig{
		Provider: deliver.ProviderCommand,
		Command:  deliver.SMSCommandConfig{Path: "/bin/true", Timeout: mfa.Duration(time.Minute)},
	}, sms.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return map[mfa.Method]deliver.Sender{mfa.Email: email, mfa.SMS: text}
}
