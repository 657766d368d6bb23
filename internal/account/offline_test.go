package account_test

import (
	"reflect"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store/offline"
)

// newKept returns what knows of users on a host of a fleet.
func newKept(t *testing.T) (*harness, account.Kept) {
	t.Helper()
	cfg := strict()
	cfg.FleetHost = "host-a"
	w := newHarness(t, cfg)
	return w, account.Kept{Accounts: func() *account.Accounts { return w.Accounts }}
}

func stateText(t *testing.T, st mfa.State) []byte {
	t.Helper()
	b, err := record.EncodeState("alice", st, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// filled returns a State of which every field is something.
func filled() (st mfa.State) {
	v := reflect.ValueOf(&st).Elem()
	for i := range v.NumField() {
		fill(v.Field(i))
	}
	return st
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value)
		key := reflect.New(v.Type().Key()).Elem()
		fill(key)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(confirmed))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint32, reflect.Uint8:
		v.SetUint(3)
	}
}

// An offline login gets nothing by which it could be let in but its app and backup codes. A new field of
// State is not served before somebody says so here.
func TestOfflineLoginGetsNoMore(t *testing.T) {
	_, kept := newKept(t)
	text, err := kept.Serve("alice", stateText(t, filled()), confirmed.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	st, err := record.DecodeState("served", text)
	if err != nil {
		t.Fatal(err)
	}
	if st.Offline == nil || !st.Offline.Equal(confirmed.Add(time.Hour)) {
		t.Errorf("heard of at %v", st.Offline)
	}
	never := map[string]bool{
		"Sends": true, "PlaceSends": true, "Pending": true, "Ended": true, "Enrolling": true, "EnrollSince": true, "Sessions": true,
		"Recovery": true, "Invited": true, "Contacts": true, "ShelfTries": true, "Merged": true,
	}
	v := reflect.ValueOf(st)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() != never[name] {
			t.Errorf("%s: served %v", name, v.Field(i))
		}
	}
	again, err := kept.Serve("alice", text, confirmed.Add(time.Hour))
	if err != nil || string(again) != string(text) {
		t.Errorf("served what was served: %s, want %s; %v", again, text, err)
	}
}

// merge merges here into there, which both were base, and returns what the fleet has then.
func merge(t *testing.T, kept account.Kept, base, here, there mfa.State) mfa.State {
	t.Helper()
	here.Offline = &confirmed
	en, err := record.EncodeEnrollment("alice", mfa.Enrollment{UID: 7, TOTP: &mfa.TOTPSecret{Secret: "x", Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(period)}})
	if err != nil {
		t.Fatal(err)
	}
	text, tell, err := kept.Merge(offline.Merging{
		User: "alice", Mark: "mark", Base: stateText(t, base), Here: stateText(t, here), There: stateText(t, there), Enrollment: en, Enrolled: en,
	})
	if err != nil {
		t.Fatal(err)
	}
	if bears, err := kept.Bears("alice", "mark", text); !bears || err != nil {
		t.Errorf("it does not bear its mark: %s, %v", text, err)
	}
	if bears, err := kept.Bears("alice", "another", text); bears || err != nil {
		t.Errorf("it bears another mark: %s, %v", text, err)
	}
	tell()
	st, err := record.DecodeState("merged", text)
	if err != nil || st.Offline != nil {
		t.Fatalf("merged: %s, %v", text, err)
	}
	st.Merged = nil
	return st
}

// The fleet's own stays, and all that was spent and counted offline is added, each once.
func TestOfflineMerge(t *testing.T) {
	w, kept := newKept(t)
	wrong := func(n int) map[mfa.Method]int { return map[mfa.Method]int{mfa.TOTP: n} }
	base := mfa.State{
		UID: 7, Epoch: 1, TOTPStep: 100, BackupID: "set", BackupUsed: []int{1}, MethodFailures: wrong(10), Sessions: []mfa.Session{{ID: "a"}},
		Recovery: &mfa.Recovery{Nonce: []byte("n")}, Apart: &mfa.FailureCounts{MethodFailures: wrong(1)},
	}
	here := mfa.State{
		UID: 7, Epoch: 1, TOTPStep: 105, BackupID: "set", BackupUsed: []int{1, 2}, MethodFailures: wrong(13), Failures: []time.Time{w.now.Add(-time.Minute)},
		Apart: &mfa.FailureCounts{MethodFailures: wrong(3)},
	}
	there := base.Clone()
	there.Epoch, there.BackupUsed, there.MethodFailures, there.TOTPStep = 2, []int{1, 3}, wrong(12), 103
	want := there.Clone()
	want.TOTPStep, want.BackupUsed, want.Failures = 105, []int{1, 2, 3}, here.Failures
	want.MethodFailures, want.Apart.MethodFailures = wrong(15), wrong(3)
	if got := merge(t, kept, base, here, there); string(stateText(t, got)) != string(stateText(t, want)) {
		t.Errorf("merged %s\nwant   %s", stateText(t, got), stateText(t, want))
	}
	if lines := w.audited(`"event"`); len(lines) != 1 || w.event(audit.Merged).Reason != "" {
		t.Errorf("audited: %q", lines)
	}
}

// A code that both sides of a cut accepted is told of, and wrong codes of both lock.
func TestOfflineMergeTells(t *testing.T) {
	w, kept := newKept(t)
	base := mfa.State{UID: 7, TOTPStep: 100, BackupID: "set"}
	here := mfa.State{UID: 7, TOTPStep: 105, BackupID: "set", BackupUsed: []int{2}, Failures: []time.Time{w.now.Add(-time.Minute), w.now.Add(-time.Second)}}
	there := mfa.State{UID: 7, TOTPStep: 105, BackupID: "set", BackupUsed: []int{2}, Failures: []time.Time{w.now.Add(-2 * time.Minute)}}
	st := merge(t, kept, base, here, there)
	if _, _, locked := st.Locked(w.now); !locked || len(st.Failures) != 0 {
		t.Errorf("merged %s", stateText(t, st))
	}
	const twice = "one code of the app and one backup code: accepted on two hosts that could not know of each other"
	if lines := w.audited(`"event"`); len(lines) != 2 || w.event(audit.Merged).Reason != twice || w.event(audit.Locked).User != "alice" {
		t.Errorf("audited: %q", lines)
	}
}

// Of another account of the name nothing is taken over.
func TestOfflineMergeOfAnother(t *testing.T) {
	w, kept := newKept(t)
	st := merge(t, kept, mfa.State{UID: 7}, mfa.State{UID: 7, LockedHard: true, MethodFailures: map[mfa.Method]int{mfa.TOTP: 50}, Failures: []time.Time{w.now}}, mfa.State{UID: 8})
	if !reflect.DeepEqual(st, mfa.State{UID: 8}) {
		t.Errorf("merged %s", stateText(t, st))
	}
}
