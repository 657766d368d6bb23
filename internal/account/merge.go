package account

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"mfa/internal/mfa"
)

// MergeStates returns what is remembered of a user whom two stores counted apart for a
// time. Base is what both had when they parted, zero if they never had anything in common;
// here and there are what each has now. There is the one that stays. Its enrollment counts:
// a caller drops from here the TOTPStep of an app with another period, which would be of
// another time.
//
// A value that only one side changed is as that side has it. All that one side added is kept, and all that
// one side took away goes: so a session that was revoked does not come back, nor the wrong
// codes before an unlock. Where both changed the same, nothing that one side spent is good
// again, the longer lock holds, and the most wrong codes of a method count. To merge the
// result once more changes nothing. Here of another uid is another person: only how far
// tokens counted is kept of it.
//
// It changes none of its arguments, and the result shares nothing with them.
func MergeStates(base, here, there mfa.State) mfa.State {
	base, here, there = base.Clone(), here.Clone(), there.Clone()
	if samePlain(here, base) {
		return there // nothing changed here
	}
	if !isNone(here) && !isNone(there) && here.UID != there.UID {
		mergeTokens(&there, mfa.State{}, here)
		there.Epoch = max(there.Epoch, here.Epoch)
		return there
	}
	here = sinceReset(base, here, there)
	merged := there
	if isNone(there) {
		merged.UID = here.UID
	}
	merged.Epoch = max(here.Epoch, there.Epoch)
	mergeLock(&merged, base, here)
	mergeSpent(&merged, base, here)
	mergeTokens(&merged, base, here)
	mergeSends(&merged, base, here)
	mergeNotes(&merged, base, here)
	id := func(s mfa.Session) string { return s.ID }
	merged.Sessions = mergeSet(base.Sessions, here.Sessions, there.Sessions, id, func(h, t mfa.Session) mfa.Session {
		if h.LastUsed.After(t.LastUsed) {
			t.LastUsed = h.LastUsed
		}
		return t
	})
	merged.MethodFailures = mergeFailures(base.MethodFailures, here.MethodFailures, there.MethodFailures)
	merged.Apart = mergeApart(base.Apart, here.Apart, there.Apart)
	return merged
}

// lockIfReached locks st at the time now if its wrong codes are as many as lock, and it is
// not locked. The same for those that are counted apart.
func (c LockoutConfig) lockIfReached(st *mfa.State, now time.Time) {
	reached := func(failures []time.Time, locked bool) bool {
		return !locked && len(failures) > 0 && len(mfa.Recent(failures, now, c.Window)) >= c.Failures
	}
	if _, _, locked := st.Locked(now); reached(st.Failures, locked) {
		st.Failures, st.LockedBy, st.Recovery = nil, "", nil
		c.lock(st, now)
	}
	if t := st.Apart; t != nil {
		if _, _, locked := t.Locked(now); reached(t.Failures, locked) {
			var apart mfa.State
			c.lock(&apart, now)
			t.Failures, t.LockedUntil, t.LockedHard = nil, apart.LockedUntil, apart.LockedHard
		}
	}
}

func isNone(st mfa.State) bool { return reflect.ValueOf(st).IsZero() }

// sinceReset returns here without what was before a reset there: that ends locks, wrong
// codes and remembered logins.
func sinceReset(base, here, there mfa.State) mfa.State {
	if isNone(base) || there.Since == nil || mfa.Later(mfa.Later(base.Since, here.Since), there.Since) != there.Since {
		return here
	}
	reset := *there.Since
	old := func(t time.Time) bool { return !t.After(reset) }
	here.Failures = slices.DeleteFunc(here.Failures, old)
	if began := lockOf(here).began(); began != nil && old(*began) {
		lockOf(base).put(&here)
	}
	here.Sessions = slices.DeleteFunc(here.Sessions, func(s mfa.Session) bool { return old(s.Created) })
	here.Pending = slices.DeleteFunc(here.Pending, func(p mfa.PendingCode) bool { return old(p.Sent) })
	if here.Enrolling != nil && old(here.Enrolling.Began) {
		here.Enrolling = nil
	}
	here.MethodFailures, here.Apart = base.MethodFailures, base.Apart
	here.EnrollSince, here.MustChangePassword = base.EnrollSince, base.MustChangePassword
	return here
}

// merge3 returns the value that one side changed. Where both did it is that of both, which
// must not depend on their order.
func merge3[T any](base, here, there T, same func(a, b T) bool, both func(here, there T) T) T {
	switch {
	case same(here, base):
		return there
	case same(there, base):
		return here
	}
	return both(here, there)
}

func equal[T comparable](a, b T) bool { return a == b }

func sameTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// samePlain says whether two values that hold no pointers but to plain values are alike.
func samePlain[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

// mergeSet is merge3 for each element by itself. Both returns what is kept of one that both
// sides have; nil: what there has. Those of there keep their order, and what is added
// follows.
func mergeSet[T any, K comparable](base, here, there []T, key func(T) K, both func(here, there T) T) []T {
	was, is := map[K]bool{}, map[K]T{}
	for _, v := range base {
		was[key(v)] = true
	}
	for _, v := range here {
		is[key(v)] = v
	}
	var merged []T
	has := map[K]bool{}
	for _, v := range there {
		k := key(v)
		h, kept := is[k]
		has[k] = true
		switch {
		case !kept && was[k]: // taken away here
		case kept && both != nil:
			merged = append(merged, both(h, v))
		default:
			merged = append(merged, v)
		}
	}
	for _, v := range here {
		if k := key(v); !has[k] && !was[k] {
			has[k] = true
			merged = append(merged, v)
		}
	}
	return merged
}

// mergeTimes is mergeSet for times, which are sorted then.
func mergeTimes(base, here, there []time.Time) []time.Time {
	merged := mergeSet(base, here, there, time.Time.UnixNano, nil)
	slices.SortStableFunc(merged, time.Time.Compare)
	return merged
}

// mergeFailures merges wrong codes by method, which carry no time: where both sides
// counted, the most count.
func mergeFailures(base, here, there map[mfa.Method]int) map[mfa.Method]int {
	merged := map[mfa.Method]int{}
	methods := maps.Clone(there)
	if methods == nil {
		methods = map[mfa.Method]int{}
	}
	maps.Copy(methods, here)
	for m := range methods {
		n := merge3(base[m], here[m], there[m], equal, func(h, t int) int { return max(h, t) })
		if n > 0 {
			merged[m] = n
		}
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// mergeApart merges what is counted apart, as MergeStates does the rest.
func mergeApart(base, here, there *mfa.FailureCounts) *mfa.FailureCounts {
	var counts [3]mfa.FailureCounts
	for i, c := range []*mfa.FailureCounts{base, here, there} {
		if c != nil {
			counts[i] = *c
		}
	}
	lock := merge3(lockApart(counts[0]), lockApart(counts[1]), lockApart(counts[2]), lock.same, strongerLock)
	merged := &mfa.FailureCounts{
		Failures:    lock.led(mergeTimes(counts[0].Failures, counts[1].Failures, counts[2].Failures)),
		LockedUntil: lock.until, LockedHard: lock.hard,
		MethodFailures: mergeFailures(counts[0].MethodFailures, counts[1].MethodFailures, counts[2].MethodFailures),
	}
	if reflect.ValueOf(*merged).IsZero() {
		return nil
	}
	return merged
}

// mergeTokens merges into st, which is as there has it, how far tokens counted. A count
// that one side forgot, because it is not known any more, is forgotten.
func mergeTokens(st *mfa.State, base, here mfa.State) {
	if samePlain(here.Tokens, base.Tokens) && sameTime(here.TokensSince, base.TokensSince) {
		return
	}
	name := func(c mfa.TokenCount) string { return c.Token }
	st.Tokens = mergeSet(base.Tokens, here.Tokens, st.Tokens, name, func(h, t mfa.TokenCount) mfa.TokenCount {
		if h == t {
			return t
		}
		return mfa.TokenCount{Token: t.Token, Next: max(h.Next, t.Next)}
	})
	st.TokensSince = mfa.Later(st.TokensSince, here.TokensSince)
}
