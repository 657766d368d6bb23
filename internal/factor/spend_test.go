package factor

import (
	"testing"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// Of a set whose codes may have been used before all was forgotten none counts, also
// if the clock ran ahead when it was made.
func TestForgottenBackupCodes(t *testing.T) {
	now := time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	hour := time.Hour
	for name, tc := range map[string]struct {
		since *time.Time
		id    string // that the state speaks of
		made  time.Time
		want  bool
	}{
		"nothing forgotten":         {nil, "", now.Add(-hour), false},
		"made before":               {new(now.Add(-hour)), "", now.Add(-2 * hour), true},
		"made by a build before":    {new(now.Add(-hour)), "", time.Time{}, true},
		"made after":                {new(now.Add(-hour)), "", now, false},
		"made by another clock":     {new(now.Add(-hour)), "", now.Add(mfa.ClockSlack), false},
		"made two hours ahead":      {new(now.Add(-hour)), "", now.Add(2 * hour), true},
		"made ten years ahead":      {new(now.Add(-hour)), "", now.AddDate(10, 0, 0), true},
		"ahead, but known":          {new(now.Add(-hour)), "set", now.AddDate(10, 0, 0), false},
		"ahead, nothing forgotten":  {nil, "", now.AddDate(10, 0, 0), false},
		"made when it said 1970":    {new(now.Add(-hour)), "", time.Unix(100, 0), true},
		"of a set that came before": {new(now.Add(-hour)), "other", now, false},
	} {
		st, set := mfa.State{Since: tc.since, BackupID: tc.id}, mfa.BackupSet{ID: "set", Made: tc.made, Hashes: make([]string, 10)}
		if got := Forgotten(st, set, now); got != tc.want {
			t.Errorf("%s: forgotten %v", name, got)
		}
		if left := BackupLeft(st, set, now); (left == 0) != tc.want {
			t.Errorf("%s: %d codes are left", name, left)
		}
		if res := SpendBackup(&st, set, 0, now); (res == otp.Spent) != tc.want {
			t.Errorf("%s: a code of it is %v", name, res)
		}
	}
}
