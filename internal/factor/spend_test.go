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

// A set that another one took the place of does not count again, whether its codes were
// used or not, and whatever the clock said; the newest does.
func TestReplacedBackupCodes(t *testing.T) {
	now := time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	hour := time.Hour
	set := func(id string, made time.Time) mfa.BackupSet {
		return mfa.BackupSet{ID: id, Made: made, Symbols: 16, Hashes: make([]string, 10)}
	}
	for name, tc := range map[string]struct{ first, second time.Time }{
		"one after the other":      {now.Add(-2 * hour), now.Add(-hour)},
		"the second says nothing":  {now.Add(-2 * hour), time.Time{}},
		"the first says nothing":   {time.Time{}, now.Add(-hour)},
		"both say nothing":         {time.Time{}, time.Time{}},
		"the second is ahead":      {now.Add(-2 * hour), now.AddDate(10, 0, 0)},
		"the first is ahead":       {now.AddDate(10, 0, 0), now.Add(-hour)},
		"both at the same instant": {now, now},
	} {
		for _, begun := range []bool{true, false} { // by a change of the enrollment, or by its first code
			var st mfa.State
			first, second := set("first", tc.first), set("second", tc.second)
			if SpendBackup(&st, first, 0, now) != otp.Right {
				t.Errorf("%s: the first set is not good", name)
			}
			if begun {
				BeginBackup(&st, second, nil, now)
			}
			if !begun && Forgotten(st, second, now) {
				continue // it was put there by hand, and is not newer
			}
			if SpendBackup(&st, second, 0, now) != otp.Right || SpendBackup(&st, second, 0, now) != otp.Spent {
				t.Errorf("%s: a code of the second set is not good once", name)
			}
			for i := range 2 {
				if SpendBackup(&st, first, i, now.Add(hour)) != otp.Spent {
					t.Errorf("%s, begun %v: code %d of the first set is good again", name, begun, i)
				}
			}
			if left := BackupLeft(st, second, now); left != 9 {
				t.Errorf("%s: %d codes are left", name, left)
			}
		}
	}
}

// Where more sets of another program were used up than are kept, any of its codes may be used.
func TestManySpentForeignSets(t *testing.T) {
	var st mfa.State
	for i := range maxSpentForeign {
		if spent, err := SpentForeign(st, []string{"12345678"}); err != nil || len(spent) != 0 {
			t.Fatalf("after %d sets: %v, %v", i, spent, err)
		}
		set := mfa.SpentCodes{ID: string(rune('a' + i)), Salt: "AAAAAAAAAAAAAAAAAAAAAA", Memory: 8, Time: 1, Threads: 1, Symbols: 8, Hashes: []string{"AAAAAAAAAAAAAAAAAAAAAA"}}
		for range 2 {
			KeepForeign(&st, set)
		}
	}
	KeepForeign(&st, mfa.SpentCodes{ID: "more"})
	if spent, err := SpentForeign(st, []string{"12345678"}); err != nil || len(spent) != 1 || len(st.SpentForeign) != maxSpentForeign {
		t.Errorf("%v, %v, %d sets", spent, err, len(st.SpentForeign))
	}
}

// The first code of a set ends the sets that were made before it, and a set of which it is
// not known when it was made, or whose time has not come, ends all others up to now.
func TestSetTakesOver(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	made := now.Add(-time.Hour)
	soon := now.Add(time.Second) // within what clocks may differ
	for name, tc := range map[string]struct {
		before string // the set that counted
		made   time.Time
		ends   *time.Time // the sets made until then
	}{
		"the first set":                 {"", made, &made},
		"another one":                   {"older", made, &made},
		"the first, of unknown age":     {"", time.Time{}, nil},
		"another one, of unknown age":   {"older", time.Time{}, &now},
		"another one, a second ahead":   {"older", soon, &now},
		"the first set, a second ahead": {"", soon, &now},
	} {
		st := mfa.State{BackupID: tc.before}
		if got := SpendBackup(&st, mfa.BackupSet{ID: "new", Made: tc.made, Hashes: []string{"a", "b"}}, 1, now); got != otp.Right {
			t.Errorf("%s: the code is %v", name, got)
		}
		if st.BackupID != "new" || len(st.BackupUsed) != 1 || st.BackupUsed[0] != 1 {
			t.Errorf("%s: %+v", name, st)
		}
		switch {
		case (st.BackupSince == nil) != (tc.ends == nil):
			t.Errorf("%s: ends sets until %v, want %v", name, st.BackupSince, tc.ends)
		case tc.ends != nil && !st.BackupSince.Equal(*tc.ends):
			t.Errorf("%s: ends sets until %v, want %v", name, st.BackupSince, tc.ends)
		}
	}
}

// Of a set of which no code is used nothing is kept, so that it takes no place; and one that
// is kept and damaged is an error, for nobody knows then what is used.
func TestSpentForeignSets(t *testing.T) {
	set := mfa.BackupSet{ID: "s", Symbols: foreignDigits, Hashes: []string{"a"}}
	st := mfa.State{BackupID: "s"}
	if NoteForeign(&st, set); len(st.SpentForeign) != 0 {
		t.Errorf("kept %v", st.SpentForeign)
	}
	st.BackupUsed = []int{0}
	if NoteForeign(&st, set); len(st.SpentForeign) != 1 {
		t.Errorf("kept %v", st.SpentForeign)
	}
	if spent, err := SpentForeign(st, []string{"12345678"}); err == nil {
		t.Errorf("a damaged set says that %v are used", spent)
	}
}
