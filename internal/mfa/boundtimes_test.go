package mfa

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	noon        = time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	testLengths = Lengths{Code: 10 * time.Minute, Lock: 15 * time.Minute}
)

// storedAt is a State in which all happened at the time t.
func storedAt(t time.Time) State {
	code, lock, recovery, session := t.Add(testLengths.Code), t.Add(testLengths.Lock), t.Add(RecoveryLifetime), t.Add(90*24*time.Hour)
	return State{
		UID: 1000, Failures: []time.Time{t, t}, LockedUntil: &lock, LockedFor: Duration(testLengths.Lock),
		Sends: []time.Time{t}, Pending: []PendingCode{{Nonce: []byte("n"), Sent: t, Expires: code}},
		PlaceSends: []PlaceSend{{Origin: "o", At: t}}, Drift: &Drift{Step: 1, At: t},
		Ended:     []EndedCode{{PendingCode: PendingCode{Nonce: []byte("e"), Sent: t, Expires: code}, Why: CodeUsed, At: t}},
		Apart:     &FailureCounts{Failures: []time.Time{t}, LockedUntil: &lock},
		Enrolling: &Enrolling{Method: TOTP, Began: t}, EnrollSince: &t,
		Sessions:  []Session{{ID: "s", Created: t, LastUsed: t, Expires: session}},
		Recovery:  &Recovery{Expires: recovery},
		LockMails: []time.Time{t}, Told: []AddressNoticed{{"a", t}}, Invited: &Invitation{Sent: t}, Since: &t, BackupSince: &t, TokensSince: &t,
		Contacts: &Contacts{Source: "ldap", At: t}, ShelfTries: []time.Time{t}, Offline: &t,
	}
}

// limits say of each time in a State how far beyond now it may lie at most, or that
// somebody else bounds it.
var limits = map[string]time.Duration{
	"Failures": 0, "Sends": 0, "LockMails": 0, "ShelfTries": 0, "Told.At": 0, "Pending.Sent": 0, "Pending.Expires": testLengths.Code,
	"LockedUntil": testLengths.Lock, "Recovery.Expires": RecoveryLifetime, "Enrolling.Began": 0, "EnrollSince": 0,
	"Invited.Sent": 0, "Contacts.At": 0, "Since": 0, "BackupSince": 0, "TokensSince": 0, "Offline": 0,
	"Ended.PendingCode.Sent": 0, "Ended.PendingCode.Expires": testLengths.Code, "Ended.At": 0,
	"PlaceSends.At": 0, "Drift.At": 0,
	"Apart.Failures": 0, "Apart.LockedUntil": testLengths.Lock,
	"Sessions.Created": -1, "Sessions.Expires": -1, "Sessions.LastUsed": -1, // login.SessionConfig.ended
}

// times calls fn for every time in v, by its name.
func times(v reflect.Value, name string, fn func(name string, t time.Time)) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		fn(name, v.Interface().(time.Time))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		times(v.Elem(), name, fn)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			times(v.Index(i), name, fn)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			if name != "" {
				field = name + "." + field
			}
			times(v.Field(i), field, fn)
		}
	}
}

// kinds returns the names of all times that the type holds.
func kinds(t reflect.Type, name string) (all []string) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return []string{name}
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
		return kinds(t.Elem(), name)
	case t.Kind() == reflect.Struct:
		for field := range t.Fields() {
			inner := field.Name
			if name != "" {
				inner = name + "." + inner
			}
			all = append(all, kinds(field.Type, inner)...)
		}
	}
	return all
}

// Every time in a State is bounded, or on purpose not. Decide that for a new one,
// and write it down in limits.
func TestEveryTimeIsBounded(t *testing.T) {
	known := kinds(reflect.TypeFor[State](), "")
	for _, name := range known {
		if _, ok := limits[name]; !ok {
			t.Errorf("nobody decided how far beyond now State.%s is believed", name)
		}
	}
	var set []string
	times(reflect.ValueOf(storedAt(noon)), "", func(name string, _ time.Time) { set = append(set, name) })
	for _, name := range known {
		if !slices.Contains(set, name) {
			t.Errorf("the test does not store State.%s", name)
		}
	}
	for name, off := range map[string]time.Duration{
		"two hours": 2 * time.Hour, "ten years": 10 * 365 * 24 * time.Hour, "since 1970": time.Duration(noon.Unix()) * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			now := noon.Add(-off)
			st := storedAt(noon)
			if len(st.Ahead(now, testLengths)) == 0 {
				t.Error("Ahead finds nothing")
			}
			if !st.BoundTimes(now, testLengths) {
				t.Error("BoundTimes changes nothing")
			}
			times(reflect.ValueOf(st), "", func(name string, at time.Time) {
				limit, ok := limits[name]
				if ok && limit >= 0 && at.After(now.Add(limit)) {
					t.Errorf("%s is %v beyond now", name, at.Sub(now))
				}
			})
			if len(st.Failures)+len(st.Sends)+len(st.LockMails)+len(st.ShelfTries) > 0 {
				t.Error("what was counted in the future counts")
			}
			if len(st.Pending) != 1 || len(st.Told) != 1 || st.Invited == nil {
				t.Error("what was sent would be sent again")
			}
			again := st
			if again.BoundTimes(now.Add(time.Minute), testLengths) || !reflect.DeepEqual(st, again) {
				t.Error("a second look believes less")
			}
		})
	}
}

// A time that was stored by a right clock stays, also a little later and under clocks
// that differ a little.
func TestRightTimesAreBelieved(t *testing.T) {
	for _, off := range []time.Duration{0, time.Second, ClockSlack, -time.Minute, -ClockSlack} {
		st := storedAt(noon)
		if st.BoundTimes(noon.Add(off), testLengths) || !reflect.DeepEqual(st, storedAt(noon)) {
			t.Errorf("%v later: %+v", off, st)
		}
		if ahead := st.Ahead(noon.Add(off), testLengths); ahead != nil {
			t.Errorf("%v later: Ahead = %q", off, ahead)
		}
	}
}

func TestBelieveDoesNotTouchWhatItIsGiven(t *testing.T) {
	st := storedAt(noon)
	was := st
	st.BoundTimes(noon.Add(-24*time.Hour), testLengths)
	if !reflect.DeepEqual(was, storedAt(noon)) {
		t.Errorf("%+v", was)
	}
}

func TestLocksKeepTheirLength(t *testing.T) {
	month, year := 30*24*time.Hour, LongestLock
	for name, tc := range map[string]struct {
		change func(*State)
		off    time.Duration // how far ahead the clock was
		want   time.Duration // the lock from now on
	}{
		"by wrong codes":             {func(*State) {}, time.Hour, testLengths.Lock},
		"from before":                {func(st *State) { st.LockedFor = 0 }, time.Hour, testLengths.Lock},
		"by an administrator":        {func(st *State) { st.LockedBy, st.LockedFor = "root", Duration(month) }, time.Hour, month},
		"by one from before":         {func(st *State) { st.LockedBy, st.LockedFor = "root", 0 }, 10 * year, year},
		"configured longer meantime": {func(st *State) { st.LockedFor = Duration(time.Hour) }, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			st := storedAt(noon)
			tc.change(&st)
			st.LockedUntil = new(noon.Add(max(testLengths.Lock, time.Duration(st.LockedFor))).Add(tc.off))
			st.BoundTimes(noon, testLengths)
			if got := st.LockedUntil.Sub(noon); got != tc.want {
				t.Errorf("locked for %v, want %v", got, tc.want)
			}
		})
	}
	// Booted in 1970, a lock of a month is none of a month of 1970.
	st := storedAt(noon)
	st.LockedBy, st.LockedFor, st.LockedUntil = "root", Duration(month), new(noon.Add(month))
	st.BoundTimes(time.Unix(0, 0), testLengths)
	if _, _, locked := st.Locked(noon.Add(month - 1)); !locked {
		t.Error("the lock ended")
	}
	// And one that was set in 1970 is a month from the time on when the clock is right.
	st.LockedUntil = new(time.Unix(1000, 0).Add(month))
	st.BoundTimes(noon, testLengths)
	if left, _, locked := st.Locked(noon); !locked || left != month {
		t.Errorf("locked %v, for %v", locked, left)
	}
	// Nor is the time to enroll over that began then.
	st = State{EnrollSince: new(time.Unix(100, 0))}
	if st.BoundTimes(noon, testLengths); st.EnrollSince != nil {
		t.Error("the time to enroll is over")
	}
}

// Each time that a State holds is moved alone, the rest being right: it is told of,
// bounded, and ended by what unlock does.
func TestEachTimeAlone(t *testing.T) {
	for name, limit := range limits {
		for _, off := range []time.Duration{2 * time.Hour, 10 * 365 * 24 * time.Hour} {
			st := storedAt(noon)
			move(reflect.ValueOf(&st).Elem(), "", name, off)
			ahead := st.Ahead(noon, testLengths)
			sent := strings.HasSuffix(name, ".Expires") && limit == testLengths.Code // its Sent tells, whatever the lifetime was
			if len(ahead) != 1 && !(sent && off < LongestLock) && name != "Sessions.Expires" {
				t.Errorf("%s %v ahead: Ahead = %q", name, off, ahead)
			}
			st.EndFutureTimes(noon, testLengths)
			times(reflect.ValueOf(st), "", func(n string, at time.Time) {
				if n == name && n != "Sessions.Expires" && at.After(noon.Add(max(0, limits[n]))) {
					t.Errorf("%s %v ahead: settled %v beyond now", name, off, at.Sub(noon))
				}
			})
			if ahead := st.Ahead(noon, testLengths); ahead != nil {
				t.Errorf("%s %v ahead: Ahead = %q after it was settled", name, off, ahead)
			}
		}
	}
}

// move adds off to every time of that name within v.
func move(v reflect.Value, at, name string, off time.Duration) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		if at == name {
			v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(off)))
		}
	case v.Type() == reflect.TypeFor[*time.Time]() && !v.IsNil():
		if at == name {
			v.Set(reflect.ValueOf(new(v.Elem().Interface().(time.Time).Add(off))))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		move(v.Elem(), at, name, off)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			move(v.Index(i), at, name, off)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			inner := v.Type().Field(i).Name
			if at != "" {
				inner = at + "." + inner
			}
			move(v.Field(i), inner, name, off)
		}
	}
}
