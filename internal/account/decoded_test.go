package account_test

import (
	"sync"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// A login that goes on sees what others wrote of its user meanwhile, and nothing that a
// caller made of what it was given.
func TestStateIsReadAnewWhereItChanged(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{TOTPStep: 1, Seen: []string{"a"}, Failures: []time.Time{confirmed}})
	one, other := w.Records().Account(alice), w.Records().Account(alice)
	look := func(step int64, seen string) {
		t.Helper()
		for range 2 {
			st, err := one.State(t.Context())
			if err != nil || st.TOTPStep != step || st.Seen[0] != seen || len(st.Failures) != 1 {
				t.Fatalf("state %+v, %v; want step %d, seen from %s", st, err, step, seen)
			}
			st.Seen[0], st.Failures[0] = "nowhere", time.Time{}
			if err := one.StoreBoundTimes(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	look(1, "a")
	if err := other.Update(t.Context(), func(st *mfa.State) error { st.TOTPStep = 2; return nil }); err != nil {
		t.Fatal(err)
	}
	look(2, "a")
	err := one.Update(t.Context(), func(st *mfa.State) error {
		if st.TOTPStep != 2 || !st.Failures[0].Equal(confirmed) {
			t.Errorf("updated from %+v", st)
		}
		st.Seen[0] = "b" // in place
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	look(2, "b")
	if st, err := other.State(t.Context()); err != nil || st.Seen[0] != "b" {
		t.Errorf("another login sees %+v, %v", st, err)
	}
}

// An update that is tried again, because another came in between, begins with what that
// one left.
func TestUpdateThatIsTriedAgainReadsAnew(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{TOTPStep: 1})
	one := w.Records().Account(alice)
	var steps []int64
	err := one.Update(t.Context(), func(st *mfa.State) error {
		if steps = append(steps, st.TOTPStep); len(steps) == 1 {
			err := w.Records().Account(alice).Update(t.Context(), func(st *mfa.State) error { st.TOTPStep = 7; return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		st.Epoch, st.Seen = 1, append(st.Seen, "a")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if st := w.state(); len(steps) != 2 || steps[1] != 7 || st.TOTPStep != 7 || len(st.Seen) != 1 {
		t.Errorf("tried from steps %d, left %+v", steps, st)
	}
}

// A code on its way and the conversation that waits for its answer update the same Account:
// whatever the order, nothing that either counted is lost.
func TestOneAccountInManyGoroutines(t *testing.T) {
	const goroutines, times = 4, 50
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{TOTPStep: 1})
	one := w.Records().Account(alice)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range times {
				if err := one.Update(t.Context(), func(st *mfa.State) error { st.TOTPStep++; return nil }); err != nil {
					t.Error(err)
				}
				if _, err := one.State(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if st := w.state(); st.TOTPStep != 1+goroutines*times {
		t.Errorf("counted to %d, want %d", st.TOTPStep, 1+goroutines*times)
	}
}
