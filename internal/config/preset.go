package config

import (
	"fmt"
	"reflect"
	"time"

	"mfa/internal/mfa"
)

// A presetValue is a key that a preset sets.
type presetValue struct {
	key   string
	value any // of the field's type
}

// presets are the values of [lockout] that benchmarks ask for.
var presets = map[string][]presetValue{
	// CIS benchmarks of Debian, Ubuntu and RHEL, "Ensure password failed attempts
	// lockout is configured" (pam_faillock deny, 5 or fewer) and "Ensure password
	// unlock time is configured" (unlock_time, 900 or more, or 0). They say nothing
	// of fail_interval: faillock.conf(5) has 900.
	"cis": {
		{"lockout.failures", 5},
		{"lockout.window", mfa.Duration(15 * time.Minute)},
		{"lockout.duration", mfa.Duration(15 * time.Minute)},
	},
	// DISA STIG for RHEL 9: RHEL-09-411075 (deny = 3), RHEL-09-411085 (fail_interval
	// = 900), RHEL-09-411090 (unlock_time = 0: locked until an administrator
	// releases it, so no recovery code may).
	"stig": {
		{"lockout.failures", 3},
		{"lockout.window", mfa.Duration(15 * time.Minute)},
		{"lockout.duration", mfa.Duration(0)},
		{"lockout.recovery", false},
	},
}

// preset sets the keys of lockout.preset. A key that the file sets to another value is
// refused, so that a reader need not know which one wins.
func (r *reader) preset() {
	name := r.config.Lockout.Preset
	for _, p := range presets[name] {
		field := reflect.ValueOf(r.fields[p.key]).Elem()
		line, set := r.lines[p.key]
		if set && !r.refused[p.key] && field.Interface() != p.value {
			r.refused[p.key] = true
			r.problems = append(r.problems, problem{
				line, p.key, fmt.Sprintf("lockout.preset = %q sets this", name), presetText(p.value) + ", or no such line",
			})
		}
		field.Set(reflect.ValueOf(p.value))
	}
}

// presetText writes a value as mfa.toml does.
func presetText(v any) string {
	if d, ok := v.(mfa.Duration); ok {
		return fmt.Sprintf("%q", d)
	}
	return fmt.Sprint(v)
}
