package mfa

import (
	"testing"
	"time"
)

func TestDurationText(t *testing.T) {
	for in, want := range map[string]string{
		"90s": "1m30s", "10m": "10m", "1h": "1h", "1h30m": "1h30m", "90d": "90d", "0s": "0s", "0": "0s",
		"24h": "1d", "25h": "25h", "1500ms": "1.5s", "0d": "0s",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if d.String() != want {
			t.Errorf("%q is said as %q, want %q", in, d, want)
		}
		var again Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%q read again: %v, %v", d, again, err)
		}
	}
	for _, in := range []string{"", "d", "10", "-1s", "-1d", "1.5d", "99999999999d", "10 m", "1d2h", "soon"} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was taken as %v", in, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("90d")
	f.Add("1h0m0.5s")
	f.Fuzz(func(t *testing.T, in string) {
		var d, again Duration
		if d.UnmarshalText([]byte(in)) != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is negative: %v", in, d)
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%q became %q, read as %v, %v", in, d, again, err)
		}
	})
}

func TestLocked(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	soon, past := now.Add(time.Minute), now
	for name, tc := range map[string]struct {
		st           State
		left         time.Duration
		hard, locked bool
	}{
		"never":   {State{}, 0, false, false},
		"for now": {State{LockedUntil: &soon}, time.Minute, false, true},
		"over":    {State{LockedUntil: &past}, 0, false, false},
		"hard":    {State{LockedHard: true, LockedUntil: &past}, 0, true, true},
	} {
		if left, hard, locked := tc.st.Locked(now); left != tc.left || hard != tc.hard || locked != tc.locked {
			t.Errorf("%s: %v %v %v", name, left, hard, locked)
		}
	}
}

// The zero values refuse: code that forgets to decide opens no door.
func TestZeroVerdictRefuses(t *testing.T) {
	if (Verdict{}).Outcome != Broken || Outcome(200).String() != "broken" {
		t.Error("the zero verdict is no refusal")
	}
}
