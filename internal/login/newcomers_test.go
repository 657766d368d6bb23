package login

import (
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// Newcomers are told to get what the policy has for them.
func TestNewcomers(t *testing.T) {
	all := []mfa.Method{mfa.TOTP, mfa.Email, mfa.SMS, mfa.Backup}
	for name, tc := range map[string]struct {
		cfg   PolicyConfig
		texts bool
		want  string
	}{
		"off":                   {PolicyConfig{Mode: ModeOff, Methods: all, EnrollAtLogin: true}, true, "let in by the first factor alone"},
		"required":              {PolicyConfig{Mode: ModeRequired, Methods: all, EnrollAtLogin: true}, false, "led to a second factor"},
		"enrolled elsewhere":    {PolicyConfig{Mode: ModeRequired, Methods: all}, true, "kept out"},
		"backup codes alone":    {PolicyConfig{Mode: ModeRequired, Methods: []mfa.Method{mfa.Backup}, EnrollAtLogin: true, SelfContacts: true}, true, "kept out, as nothing can be set up"},
		"texts, no provider":    {PolicyConfig{Mode: ModeRequired, Methods: []mfa.Method{mfa.SMS}, EnrollAtLogin: true, SelfContacts: true}, false, "kept out, as nothing can be set up"},
		"texts":                 {PolicyConfig{Mode: ModeRequired, Methods: []mfa.Method{mfa.SMS}, EnrollAtLogin: true, SelfContacts: true}, true, "led to a second factor"},
		"email, administrators": {PolicyConfig{Mode: ModeRequired, Methods: []mfa.Method{mfa.Email}, EnrollAtLogin: true}, true, "kept out, as nothing can be set up"},
		"the same, optional":    {PolicyConfig{Mode: ModeOptional, OptOut: true, Methods: []mfa.Method{mfa.Email}, EnrollAtLogin: true}, true, "let in by the first factor alone while"},
		"the same, with grace":  {PolicyConfig{Mode: ModeRequired, EnrollGrace: 1, Methods: []mfa.Method{mfa.Email}, EnrollAtLogin: true}, true, "let in by the first factor alone while"},
	} {
		if got := tc.cfg.Newcomers(tc.texts); !strings.HasPrefix(got, tc.want) || tc.want == "kept out" && got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
