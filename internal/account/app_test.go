package account_test

import (
	"testing"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// A step of a time that has not come keeps nobody out where the clock is known to be right,
// and lets nobody use a code twice where it is not.
func TestLastStep(t *testing.T) {
	now := otp.Step(confirmed, period)
	year := otp.Step(confirmed.AddDate(1, 0, 0), period)
	for name, tc := range map[string]struct {
		step  int64
		since *time.Time
		doubt bool
		last  int64
		ok    bool
	}{
		"none":                         {0, nil, false, 0, true},
		"of now":                       {now, nil, false, now, true},
		"of a phone that is ahead":     {now + 1, nil, true, now + 1, true},
		"ahead":                        {year, nil, false, 1, true},
		"just ahead":                   {now + 2, nil, false, 1, true},
		"ahead, and the clock doubted": {year, nil, true, 0, false},
		"doubted, and of now":          {now, nil, true, now, true},
		"the store began anew":         {0, &confirmed, false, now + 1, true},
		"it began before":              {now + 1, new(confirmed.Add(-time.Hour)), false, now + 1, true},
		"it began anew, ahead":         {year, &confirmed, false, now + 1, true},
	} {
		w := newHarness(t, strict())
		w.has(mfa.Enrollment{}, mfa.State{TOTPStep: tc.step, Since: tc.since})
		w.doubt = tc.doubt
		if last, ok := w.user().LastStep(new(w.state()), period, w.now); last != tc.last || ok != tc.ok {
			t.Errorf("%s: %d, %v, want %d, %v", name, last, ok, tc.last, tc.ok)
		}
		offline := mfa.State{TOTPStep: tc.step, Offline: tc.since} // other hosts may have taken codes until then
		if last, ok := w.user().LastStep(&offline, period, w.now); last != tc.last || ok != tc.ok {
			t.Errorf("%s, offline: %d, %v, want %d, %v", name, last, ok, tc.last, tc.ok)
		}
	}
}

// An app with longer periods takes the place of one whose step would keep it out.
func TestNewApp(t *testing.T) {
	now := otp.Step(confirmed, time.Minute)
	for step, want := range map[int64]int64{0: 0, now: now, now + 1: now + 1, now + 2: 0, otp.Step(confirmed, period): 0} {
		w := newHarness(t, strict())
		st := mfa.State{TOTPStep: step}
		if w.NewApp(&st, w.now, time.Minute); st.TOTPStep != want {
			t.Errorf("%d became %d, not %d", step-now, st.TOTPStep-now, want-now)
		}
	}
}
