package mfa

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"
)

// TestContactsHaveOneShape of package app has the table, and holds all that read
// addresses and numbers to it.
func TestShapesOfContacts(t *testing.T) {
	for s, want := range map[string]bool{
		"alice@example.com": true, "a.b+c@example.com": true, "ä@example.com": true,
		"alice@[192.0.2.1]": true, "a@" + strings.Repeat("ä", 63) + ".example": true,
		strings.Repeat("l", 242) + "@example.com": true, strings.Repeat("l", 243) + "@example.com": false,
		"": false, "alice": false, " alice@example.com": false, "<alice@example.com>": false,
		"Alice <alice@example.com>": false, "alice@example.com (home)": false, "alice@example.com\n": false,
		"a@example.com, b@example.com": false, `"a b"@example.com`: false, "a@b@example.com": false,
		"alice@example.com\u200b": false, "alice\u00a0@example.com": false, "alice@exa!mple.com": false,
		"alice@[::ffff:192.0.2.1]": false, "a@" + strings.Repeat("ä", 64) + ".example": false,
	} {
		if IsAddress(s) != want {
			t.Errorf("address %q: %v", s, !want)
		}
	}
	for s, want := range map[string]bool{
		"+17891234567": true, "+491701": true, "+123456789012345": true,
		"": false, "+": false, "17891234567": false, "+07891234567": false, "+1 7891234567": false,
		"+1234567890123456": false, "+12345": false, "+17891234567\n": false, "+1789123456७": false,
	} {
		if IsNumber(s) != want {
			t.Errorf("number %q: %v", s, !want)
		}
	}
}

func TestParseSender(t *testing.T) {
	for s, want := range map[string]mail.Address{
		"mfa@example.com":                           {Address: "mfa@example.com"},
		"Example login <mfa@example.com>":           {Name: "Example login", Address: "mfa@example.com"},
		`"Büro, EDV" <mfa@example.com>`:             {Name: "Büro, EDV", Address: "mfa@example.com"},
		"=?utf-8?q?B=C3=BCro?= <mfa@example.com>":   {Name: "Büro", Address: "mfa@example.com"},
		"mfa@example.com (login @ work)":            {Name: "login @ work", Address: "mfa@example.com"},
		"":                                          {},
		"mfa at example.com":                        {},
		"a@example.com, b@example.com":              {},
		`"a b"@example.com`:                         {},
		"Login <mfa@exa!mple.com>":                  {},
		"\"a\tb\" <mfa@example.com>":                {},
		"a\u0085b <mfa@example.com>":                {},
		"=?utf-8?q?a=0D=0ABcc:?= <mfa@example.com>": {}, // the line ends are in the name that is meant
	} {
		got, err := ParseSender(s)
		if got != want || (err == nil) != (want != mail.Address{}) {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
}

// An address for answers is in ASCII: SMTPUTF8 is asked for the sender's and the reader's alone.
func TestParseReplyTo(t *testing.T) {
	for s, want := range map[string]mail.Address{
		"help@example.com":               {Address: "help@example.com"},
		"Büro <help@xn--exmple-cua.com>": {Name: "Büro", Address: "help@xn--exmple-cua.com"},
		"hélp@example.com":               {},
		"help@exämple.com":               {},
		"Help <hélp@exämple.com>":        {},
		"help":                           {},
	} {
		got, err := ParseReplyTo(s)
		if got != want || (err == nil) != (want != mail.Address{}) {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
}

// An address can stand in a header, an envelope and an argument as it is.
func FuzzIsAddress(f *testing.F) {
	for _, s := range []string{"alice@example.com", `"a b"@example.com`, "a@[192.0.2.1]", "Alice <a@example.com>", "ä@exämple.com", "a@b\r\n", "g:a@b;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !IsAddress(s) {
			return
		}
		if strings.ContainsAny(s, " \t\r\n,;:<>()\"\\") || strings.ContainsFunc(s, unicode.IsControl) || strings.Count(s, "@") != 1 || len(s) > 254 || DomainOf(s) == "" {
			t.Errorf("%q is an address", s)
		}
		for _, written := range []string{s, "Name <" + s + ">", (&mail.Address{Address: s}).String()} {
			if a, err := ParseSender(written); err != nil || a.Address != s {
				t.Errorf("%q, written %q, is read as %q, %v", s, written, a.Address, err)
			}
		}
	})
}
