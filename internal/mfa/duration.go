package mfa

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Duration is a time.Duration that mfa.toml writes as a string: "90s", "10m",
// "1h30m", or whole days as "90d".
type Duration time.Duration

const day = 24 * time.Hour

// maxDays keeps days within what an int64 of nanoseconds holds.
const maxDays = 36500

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > maxDays {
			return fmt.Errorf("%q is not a number of days like \"90d\"", s)
		}
		*d = Duration(time.Duration(n) * day)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration like \"90s\", \"10m\" or \"90d\"", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the shortest form: "90d", "10m", "1h30m", "0s".
func (d Duration) String() string {
	v := time.Duration(d)
	if v >= day && v%day == 0 {
		return fmt.Sprintf("%dd", v/day)
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
