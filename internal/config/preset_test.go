package config

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

func TestPresets(t *testing.T) {
	for name, want := range map[string]account.LockoutConfig{
		"cis":  {Preset: "cis", Failures: 5, Window: mfa.Duration(15 * time.Minute), Duration: mfa.Duration(15 * time.Minute), Recovery: true, Notify: true},
		"stig": {Preset: "stig", Failures: 3, Window: mfa.Duration(15 * time.Minute), Duration: 0, Recovery: false, Notify: true},
	} {
		c, err := Parse("F", fmt.Appendf(nil, "lockout.preset = %q", name))
		if err != nil || c.Lockout != want {
			t.Errorf("%s: %+v %v", name, c.Lockout, err)
		}
		for _, p := range presets[name] {
			same := fmt.Appendf(nil, "[lockout]\n%s = %s\npreset = %q", p.key[len("lockout."):], presetText(p.value), name)
			if c, err := Parse("F", same); err != nil || c.Lockout != want {
				t.Errorf("%s: %+v %v", same, c.Lockout, err)
			}
			other := fmt.Appendf(nil, "[lockout]\npreset = %q\n%s = %s", name, p.key[len("lockout."):], otherValue(p))
			refusal := fmt.Sprintf("F:3: %s: lockout.preset = %q sets this; allowed: %s, or no such line", p.key, name, presetText(p.value))
			if _, err := Parse("F", other); err == nil || err.Error() != refusal {
				t.Errorf("%s: %v, want %s", other, err, refusal)
			}
		}
	}
}

// otherValue returns a value for the key that is allowed and not the preset's.
func otherValue(p presetValue) string {
	switch v := p.value.(type) {
	case bool:
		return fmt.Sprint(!v)
	case int:
		return fmt.Sprint(v + 1)
	}
	return `"37m"`
}

// Every word that lockout.preset may be has its values, and they are allowed.
func TestPresetsMeetTheRules(t *testing.T) {
	c := Default()
	for name, values := range presets {
		if what := rules["lockout.preset"].wrong(&name); what != "" {
			t.Errorf("%s: %s", name, what)
		}
		for _, p := range values {
			i := slices.IndexFunc(settings(&c), func(s setting) bool { return s.name == p.key })
			if i < 0 {
				t.Fatalf("%s sets %s, which is no key", name, p.key)
			}
			document := fmt.Sprintf("%s = %s", p.key, presetText(p.value))
			if _, err := Parse("F", []byte(document)); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}
