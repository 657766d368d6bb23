package main

import (
	"strings"
	"testing"

	"mfa/internal/wire"
)

// Root is told what sshd does to root, but where a key alone lets root in before mfad is asked.
func TestRootBySSHD(t *testing.T) {
	const both, code = "pubkeyauthentication yes\nauthenticationmethods publickey,keyboard-interactive:pam\n", "refuses root wherever a code is typed"
	const key = "pubkeyauthentication yes\n"
	for name, tc := range map[string]struct {
		text string
		v    wire.Visit
		want string
	}{
		"may":                {both + "permitrootlogin yes\n", wire.Visit{User: "root"}, ""},
		"may not by a code":  {both + "permitrootlogin without-password\n", wire.Visit{User: "root"}, code},
		"nor behind a key":   {both + "permitrootlogin without-password\n", wire.Visit{User: "root", Key: "SHA256:x"}, code},
		"nor for commands":   {both + "permitrootlogin forced-commands-only\n", wire.Visit{User: "root"}, code},
		"by a key alone":     {key + "permitrootlogin without-password\n", wire.Visit{User: "root", Key: "SHA256:x"}, ""},
		"never":              {key + "permitrootlogin no\n", wire.Visit{User: "root", Key: "SHA256:x"}, "refuses root (PermitRootLogin no)"},
		"is of nobody else":  {both + "permitrootlogin no\n", wire.Visit{User: "alice"}, ""},
		"and is not told of": {both, wire.Visit{User: "root"}, ""},
	} {
		if got := rootBySSHD(tc.text, tc.v); got == "" != (tc.want == "") || !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
