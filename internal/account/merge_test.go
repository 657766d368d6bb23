package account_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// minute is a time so many minutes after the stores parted; before that if it is negative.
func minute(minutes int) time.Time {
	return time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

func minuteOf(minutes int) *time.Time { return new(minute(minutes)) }

func times(minutes ...int) (all []time.Time) {
	for _, m := range minutes {
		all = append(all, minute(m))
	}
	return all
}

// A merging is one merge, and what it is to give.
type merging struct {
	what                    string
	base, here, there, want mfa.State
}

// mergings hold for each field of a State what becomes of it. A new field needs its own.
var mergings = map[string][]merging{
	"UID": {
		{"only here", mfa.State{}, mfa.State{UID: 7}, mfa.State{}, mfa.State{UID: 7}},
		{
			"another person",
			mfa.State{},
			mfa.State{UID: 7, Failures: times(1), Sessions: []mfa.Session{{ID: "a"}}, Tokens: []mfa.TokenCount{{Token: "t", Next: 9}}},
			mfa.State{UID: 8},
			mfa.State{UID: 8, Tokens: []mfa.TokenCount{{Token: "t", Next: 9}}},
		},
	},
	"Epoch": {{"the newer", mfa.State{Epoch: 1}, mfa.State{Epoch: 5}, mfa.State{Epoch: 4}, mfa.State{Epoch: 5}}},
	"Failures": {
		{"of both", mfa.State{}, mfa.State{Failures: times(1, 3)}, mfa.State{Failures: times(2)}, mfa.State{Failures: times(1, 2, 3)}},
		{"unlocked there", mfa.State{Failures: times(-3, -2)}, mfa.State{Failures: times(-3, -2, 1)}, mfa.State{}, mfa.State{Failures: times(1)}},
		{"a right code here", mfa.State{Failures: times(-3)}, mfa.State{}, mfa.State{Failures: times(-3, 1)}, mfa.State{Failures: times(1)}},
		{"reset there", mfa.State{UID: 7}, mfa.State{UID: 7, Failures: times(1, 5)}, mfa.State{UID: 7, Since: minuteOf(3)}, mfa.State{UID: 7, Since: minuteOf(3), Failures: times(5)}},
		{
			"led to the lock there",
			mfa.State{},
			mfa.State{Failures: times(1, 9)},
			mfa.State{LockedUntil: minuteOf(15), LockedFor: mfa.Duration(10 * time.Minute)},
			mfa.State{LockedUntil: minuteOf(15), LockedFor: mfa.Duration(10 * time.Minute), Failures: times(9)},
		},
	},
	"LockedUntil": {
		{"the later", mfa.State{}, mfa.State{LockedUntil: minuteOf(9)}, mfa.State{LockedUntil: minuteOf(5)}, mfa.State{LockedUntil: minuteOf(9)}},
		{"unlocked there", mfa.State{LockedUntil: minuteOf(9)}, mfa.State{LockedUntil: minuteOf(9)}, mfa.State{}, mfa.State{}},
		{"locked anew here", mfa.State{LockedUntil: minuteOf(1)}, mfa.State{LockedUntil: minuteOf(9)}, mfa.State{}, mfa.State{LockedUntil: minuteOf(9)}},
		{"reset there since", mfa.State{UID: 7}, mfa.State{UID: 7, LockedUntil: minuteOf(9), LockedFor: mfa.Duration(8 * time.Minute)}, mfa.State{UID: 7, Since: minuteOf(3)}, mfa.State{UID: 7, Since: minuteOf(3)}},
	},
	"LockedHard": {
		{"either", mfa.State{}, mfa.State{LockedHard: true}, mfa.State{LockedUntil: minuteOf(5)}, mfa.State{LockedHard: true}},
		{"unlocked there", mfa.State{LockedHard: true}, mfa.State{LockedHard: true}, mfa.State{}, mfa.State{}},
	},
	"LockedBy": {
		{"an administrator's stays one", mfa.State{}, mfa.State{LockedHard: true}, mfa.State{LockedUntil: minuteOf(5), LockedBy: "root"}, mfa.State{LockedHard: true, LockedBy: "root"}},
		{
			"one that was over",
			mfa.State{},
			mfa.State{LockedUntil: minuteOf(9), LockedFor: mfa.Duration(3 * time.Minute)},
			mfa.State{LockedUntil: minuteOf(5), LockedBy: "root"},
			mfa.State{LockedUntil: minuteOf(9), LockedFor: mfa.Duration(3 * time.Minute)},
		},
	},
	"LockedFor": {{"of the later", mfa.State{}, mfa.State{LockedUntil: minuteOf(9), LockedFor: 1}, mfa.State{LockedUntil: minuteOf(5), LockedFor: 2}, mfa.State{LockedUntil: minuteOf(9), LockedFor: 1}}},
	"Sends":     {{"of both", mfa.State{Sends: times(-1)}, mfa.State{Sends: times(-1, 1)}, mfa.State{Sends: times(-1, 2)}, mfa.State{Sends: times(-1, 1, 2)}}},
	"PlaceSends": {{
		"of both",
		mfa.State{},
		mfa.State{PlaceSends: []mfa.PlaceSend{{Origin: "a", At: minute(1)}, {Origin: "a", At: minute(3)}}},
		mfa.State{PlaceSends: []mfa.PlaceSend{{Origin: "a", At: minute(1)}, {Origin: "b", At: minute(1)}}},
		mfa.State{PlaceSends: []mfa.PlaceSend{{Origin: "a", At: minute(1)}, {Origin: "b", At: minute(1)}, {Origin: "a", At: minute(3)}}},
	}},
	"Pending": {
		{"of both", mfa.State{}, mfa.State{Pending: []mfa.PendingCode{pending("a", 1)}}, mfa.State{Pending: []mfa.PendingCode{pending("b", 0)}}, mfa.State{Pending: []mfa.PendingCode{pending("b", 0), pending("a", 1)}}},
		{"used here", mfa.State{Pending: []mfa.PendingCode{pending("a", 1)}}, mfa.State{}, mfa.State{Pending: []mfa.PendingCode{pending("a", 1)}}, mfa.State{}},
		{
			"tries",
			mfa.State{},
			mfa.State{Pending: []mfa.PendingCode{{Nonce: []byte("a"), Tries: 3}}},
			mfa.State{Pending: []mfa.PendingCode{{Nonce: []byte("a"), Tries: 1, Answered: true}}},
			mfa.State{Pending: []mfa.PendingCode{{Nonce: []byte("a"), Tries: 3, Answered: true}}},
		},
	},
	"Ended": {{
		"ends what is pending",
		mfa.State{},
		mfa.State{Ended: []mfa.EndedCode{{PendingCode: pending("a", 1), Why: mfa.CodeUsed, At: minute(2)}}},
		mfa.State{Pending: []mfa.PendingCode{pending("a", 1)}},
		mfa.State{Ended: []mfa.EndedCode{{PendingCode: pending("a", 1), Why: mfa.CodeUsed, At: minute(2)}}},
	}},
	"TOTPStep": {
		{"used here", mfa.State{TOTPStep: 5}, mfa.State{TOTPStep: 9}, mfa.State{TOTPStep: 7}, mfa.State{TOTPStep: 9}},
		{"used there", mfa.State{TOTPStep: 5}, mfa.State{TOTPStep: 7}, mfa.State{TOTPStep: 9}, mfa.State{TOTPStep: 9}},
		{"a step in the future that was ended", mfa.State{TOTPStep: 500}, mfa.State{TOTPStep: 500}, mfa.State{TOTPStep: 1}, mfa.State{TOTPStep: 1}},
	},
	"Drift": {{"the newer", mfa.State{}, mfa.State{Drift: &mfa.Drift{Step: 1, At: minute(1)}}, mfa.State{Drift: &mfa.Drift{Step: 2, At: minute(2)}}, mfa.State{Drift: &mfa.Drift{Step: 2, At: minute(2)}}}},
	"BackupID": {
		{"only here", mfa.State{}, mfa.State{BackupID: "a", BackupUsed: []int{1}}, mfa.State{}, mfa.State{BackupID: "a", BackupUsed: []int{1}}},
		{"another there", mfa.State{}, mfa.State{BackupID: "a", BackupUsed: []int{1}}, mfa.State{BackupID: "b", BackupUsed: []int{2}}, mfa.State{BackupID: "b", BackupUsed: []int{2}}},
		{"made anew there", mfa.State{BackupID: "a"}, mfa.State{BackupID: "a", BackupUsed: []int{1}}, mfa.State{BackupID: "b"}, mfa.State{BackupID: "b"}},
	},
	"BackupUsed":  {{"of both", mfa.State{BackupID: "a"}, mfa.State{BackupID: "a", BackupUsed: []int{4, 1}}, mfa.State{BackupID: "a", BackupUsed: []int{2, 1}}, mfa.State{BackupID: "a", BackupUsed: []int{1, 2, 4}}}},
	"Enrolling":   {{"the newer", mfa.State{}, mfa.State{Enrolling: &mfa.Enrolling{ID: "a", Began: minute(1)}}, mfa.State{Enrolling: &mfa.Enrolling{ID: "b", Began: minute(2)}}, mfa.State{Enrolling: &mfa.Enrolling{ID: "b", Began: minute(2)}}}},
	"EnrollSince": {{"the earlier", mfa.State{}, mfa.State{EnrollSince: minuteOf(1)}, mfa.State{EnrollSince: minuteOf(2)}, mfa.State{EnrollSince: minuteOf(1)}}},
	"Sessions": {
		{
			"of both",
			mfa.State{},
			mfa.State{Sessions: []mfa.Session{{ID: "a", LastUsed: minute(3)}, {ID: "b"}}},
			mfa.State{Sessions: []mfa.Session{{ID: "c"}, {ID: "a", LastUsed: minute(1)}}},
			mfa.State{Sessions: []mfa.Session{{ID: "c"}, {ID: "a", LastUsed: minute(3)}, {ID: "b"}}},
		},
		{"revoked here", mfa.State{Sessions: []mfa.Session{{ID: "a"}}}, mfa.State{}, mfa.State{Sessions: []mfa.Session{{ID: "a", LastUsed: minute(3)}}}, mfa.State{}},
		{"revoked there", mfa.State{Sessions: []mfa.Session{{ID: "a"}}}, mfa.State{Sessions: []mfa.Session{{ID: "a", LastUsed: minute(3)}}}, mfa.State{}, mfa.State{}},
	},
	"MethodFailures": {
		{"the most", mfa.State{MethodFailures: failed(3)}, mfa.State{MethodFailures: failed(6)}, mfa.State{MethodFailures: failed(4)}, mfa.State{MethodFailures: failed(6)}},
		{"a right code there", mfa.State{MethodFailures: failed(3)}, mfa.State{MethodFailures: failed(3)}, mfa.State{}, mfa.State{}},
	},
	"Apart": {{
		"as the rest",
		mfa.State{},
		mfa.State{Apart: &mfa.FailureCounts{Failures: times(1), MethodFailures: failed(1)}},
		mfa.State{Apart: &mfa.FailureCounts{Failures: times(2), LockedUntil: minuteOf(9), MethodFailures: failed(2)}},
		mfa.State{Apart: &mfa.FailureCounts{Failures: times(1, 2), LockedUntil: minuteOf(9), MethodFailures: failed(2)}},
	}},
	"Recovery": {
		{"the newer", mfa.State{}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("a"), Expires: minute(1)}}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("b"), Expires: minute(2)}}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("b"), Expires: minute(2)}}},
		{"used here", mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("a")}}, mfa.State{}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("a"), Tries: 1}}, mfa.State{}},
		{"tries", mfa.State{}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("a"), Tries: 4}}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("a"), Tries: 1}}, mfa.State{Recovery: &mfa.Recovery{Nonce: []byte("a"), Tries: 4}}},
	},
	"LockMails": {{"of both", mfa.State{}, mfa.State{LockMails: times(1)}, mfa.State{LockMails: times(2)}, mfa.State{LockMails: times(1, 2)}}},
	"MustChangePassword": {
		{"either", mfa.State{}, mfa.State{MustChangePassword: true}, mfa.State{}, mfa.State{MustChangePassword: true}},
		{"changed here", mfa.State{MustChangePassword: true}, mfa.State{}, mfa.State{MustChangePassword: true}, mfa.State{}},
	},
	"Seen":    {{"of both", mfa.State{}, mfa.State{Seen: []string{"a", "b"}}, mfa.State{Seen: []string{"b", "c"}}, mfa.State{Seen: []string{"c", "a", "b"}}}},
	"Told":    {{"of both", mfa.State{}, mfa.State{Told: []mfa.AddressNoticed{{Address: "a", At: minute(3)}}}, mfa.State{Told: []mfa.AddressNoticed{{Address: "a", At: minute(1)}, {Address: "b", At: minute(2)}}}, mfa.State{Told: []mfa.AddressNoticed{{Address: "a", At: minute(3)}, {Address: "b", At: minute(2)}}}}},
	"Invited": {{"the newer", mfa.State{}, mfa.State{Invited: &mfa.Invitation{To: "a", Sent: minute(2)}}, mfa.State{Invited: &mfa.Invitation{To: "b", Sent: minute(1)}}, mfa.State{Invited: &mfa.Invitation{To: "a", Sent: minute(2)}}}},
	"Since": {
		{"the later", mfa.State{}, mfa.State{Since: minuteOf(1)}, mfa.State{Since: minuteOf(2)}, mfa.State{Since: minuteOf(2)}},
		{"a new app here", mfa.State{UID: 7, Since: minuteOf(-5)}, mfa.State{UID: 7}, mfa.State{UID: 7, Since: minuteOf(-5)}, mfa.State{UID: 7}},
	},
	"BackupSince":  {{"the later", mfa.State{}, mfa.State{BackupSince: minuteOf(3)}, mfa.State{BackupSince: minuteOf(2)}, mfa.State{BackupSince: minuteOf(3)}}},
	"SpentForeign": {{"of both", mfa.State{}, mfa.State{SpentForeign: []mfa.SpentCodes{{ID: "a", Hashes: []string{"2"}}}}, mfa.State{SpentForeign: []mfa.SpentCodes{{ID: "a", Hashes: []string{"1"}}}}, mfa.State{SpentForeign: []mfa.SpentCodes{{ID: "a", Hashes: []string{"1", "2"}}}}}},
	"Tokens": {
		{"the furthest", mfa.State{}, mfa.State{Tokens: []mfa.TokenCount{{Token: "a", Next: 9, Far: 20}}}, mfa.State{Tokens: []mfa.TokenCount{{Token: "a", Next: 4}, {Token: "b", Next: 1}}}, mfa.State{Tokens: []mfa.TokenCount{{Token: "a", Next: 9}, {Token: "b", Next: 1}}}},
		{"forgotten there", mfa.State{Tokens: []mfa.TokenCount{{Token: "a", Next: 4}}}, mfa.State{Tokens: []mfa.TokenCount{{Token: "a", Next: 9}}}, mfa.State{TokensSince: minuteOf(1)}, mfa.State{TokensSince: minuteOf(1)}},
	},
	"TokensSince": {{"the later", mfa.State{}, mfa.State{TokensSince: minuteOf(3)}, mfa.State{TokensSince: minuteOf(2)}, mfa.State{TokensSince: minuteOf(3)}}},
	"Contacts":    {{"the newer", mfa.State{}, mfa.State{Contacts: &mfa.Contacts{Email: "a@example.com", At: minute(2)}}, mfa.State{Contacts: &mfa.Contacts{Email: "b@example.com", At: minute(1)}}, mfa.State{Contacts: &mfa.Contacts{Email: "a@example.com", At: minute(2)}}}},
	"Offline":     {{"never", mfa.State{}, mfa.State{Offline: minuteOf(1)}, mfa.State{}, mfa.State{}}},
	"Merged":      {{"as there", mfa.State{}, mfa.State{Merged: []mfa.Merge{{Host: "a", Mark: "1"}}}, mfa.State{Merged: []mfa.Merge{{Host: "b", Mark: "2"}}}, mfa.State{Merged: []mfa.Merge{{Host: "b", Mark: "2"}}}}},
	"ShelfTries":  {{"of both", mfa.State{}, mfa.State{ShelfTries: times(1)}, mfa.State{ShelfTries: times(2)}, mfa.State{ShelfTries: times(1, 2)}}},
}

func pending(nonce string, sent int) mfa.PendingCode {
	return mfa.PendingCode{Nonce: []byte(nonce), Sent: minute(sent)}
}

func failed(n int) map[mfa.Method]int { return map[mfa.Method]int{mfa.TOTP: n} }

// text is st for comparing and for people.
func written(t *testing.T, st mfa.State) string {
	t.Helper()
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMergeKnowsAllOfState(t *testing.T) {
	for field := range reflect.TypeFor[mfa.State]().Fields() {
		if len(mergings[field.Name]) == 0 {
			t.Errorf("nobody decided how State.%s is merged", field.Name)
		}
	}
	for field, all := range mergings {
		for _, m := range all {
			merged := account.MergeStates(m.base, m.here, m.there)
			if got, want := written(t, merged), written(t, m.want); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", field, m.what, got, want)
			}
			if again := account.MergeStates(m.base, m.here, merged); written(t, again) != written(t, merged) {
				t.Errorf("%s, %s: merged twice:\n got %s\nwant %s", field, m.what, written(t, again), written(t, merged))
			}
		}
	}
}

// Where only one side changed anything, that side is right. A second merge changes
// nothing: a crash between the write and the note of it harms nobody. Nothing that one
// side spent is good in the result.
func TestMergeOfAnything(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 500 {
		base, here, there := anyState(r), anyState(r), anyState(r)
		was := [3]string{written(t, base), written(t, here), written(t, there)}
		merged := account.MergeStates(base, here, there)
		if got := [3]string{written(t, base), written(t, here), written(t, there)}; got != was {
			t.Fatalf("seed %d: an argument was changed:\n got %v\nwant %v", seed, got, was)
		}
		if again := account.MergeStates(base, here, merged); written(t, again) != written(t, merged) {
			t.Fatalf("seed %d: merged twice:\nbase %s\nhere %s\nthere %s\n once %s\ntwice %s", seed, was[0], was[1], was[2], written(t, merged), written(t, again))
		}
		if same := account.MergeStates(base, base, there); written(t, same) != was[2] {
			t.Fatalf("seed %d: nothing changed here:\nbase %s\n got %s\nwant %s", seed, was[0], written(t, same), was[2])
		}
		for _, side := range []mfa.State{here, there} {
			if merged.TOTPStep < side.TOTPStep && side.TOTPStep != base.TOTPStep {
				t.Fatalf("seed %d: step %d is good again: %s", seed, side.TOTPStep, written(t, merged))
			}
			for _, f := range side.Failures {
				if !f.Before(minute(0)) && !containsTime(merged.Failures, f) && merged.LockedUntil == nil && !merged.LockedHard && there.Since == nil {
					t.Fatalf("seed %d: the failure of %v is forgotten: %s", seed, f, written(t, merged))
				}
			}
		}
	}
}

func containsTime(all []time.Time, one time.Time) bool {
	for _, t := range all {
		if t.Equal(one) {
			return true
		}
	}
	return false
}

// anyState returns a State of few values, so that states have some of them in common.
// Failures at or after minute(0) are of one State alone.
func anyState(r *rand.Rand) mfa.State {
	st := mfa.State{UID: 1000, Epoch: r.Int64N(4), TOTPStep: r.Int64N(4), MustChangePassword: r.IntN(2) == 0}
	some := func(fn func(i int)) {
		for i := range 3 {
			if r.IntN(2) == 0 {
				fn(i)
			}
		}
	}
	one := func(fn func(i int)) {
		if r.IntN(2) == 0 {
			fn(r.IntN(3))
		}
	}
	if r.IntN(3) == 0 {
		st.LockedUntil, st.LockedFor = minuteOf(10+r.IntN(3)), mfa.Duration(3*time.Minute)
	} else {
		some(func(i int) { st.Failures = append(st.Failures, minute(i-3)) })
		st.Failures = append(st.Failures, minute(0).Add(time.Duration(r.Int64N(int64(time.Minute)))))
	}
	some(func(i int) { st.Sends = append(st.Sends, minute(i)) })
	some(func(i int) { st.PlaceSends = append(st.PlaceSends, mfa.PlaceSend{Origin: "o", At: minute(i)}) })
	some(func(i int) {
		if p := pending(fmt.Sprint(i), i); r.IntN(2) == 0 {
			st.Pending = append(st.Pending, p)
		} else {
			st.Ended = append(st.Ended, mfa.EndedCode{PendingCode: p, At: minute(i)})
		}
	})
	one(func(i int) {
		st.BackupID = fmt.Sprint(i)
		some(func(i int) { st.BackupUsed = append(st.BackupUsed, i) })
	})
	one(func(i int) { st.Drift = &mfa.Drift{Step: int64(i), At: minute(i)} })
	one(func(i int) { st.Enrolling = &mfa.Enrolling{ID: fmt.Sprint(i), Began: minute(i)} })
	one(func(i int) { st.EnrollSince = minuteOf(i) })
	some(func(i int) {
		st.Sessions = append(st.Sessions, mfa.Session{ID: fmt.Sprint(i), Created: minute(i), LastUsed: minute(i + r.IntN(3))})
	})
	one(func(i int) { st.MethodFailures = failed(i + 1) })
	one(func(i int) { st.Apart = &mfa.FailureCounts{MethodFailures: failed(i + 1)} })
	one(func(i int) { st.Recovery = &mfa.Recovery{Nonce: []byte{byte(i)}, Expires: minute(i), Tries: r.IntN(3)} })
	some(func(i int) { st.Seen = append(st.Seen, fmt.Sprint(i)) })
	some(func(i int) {
		st.Told = append(st.Told, mfa.AddressNoticed{Address: fmt.Sprint(i), At: minute(i + r.IntN(3))})
	})
	one(func(i int) { st.Since = minuteOf(-i) })
	one(func(i int) { st.BackupSince = minuteOf(-i) })
	one(func(i int) { st.SpentForeign = []mfa.SpentCodes{{ID: "f", Hashes: []string{fmt.Sprint(i)}}} })
	some(func(i int) { st.Tokens = append(st.Tokens, mfa.TokenCount{Token: fmt.Sprint(i), Next: r.Int64N(4)}) })
	return st
}
