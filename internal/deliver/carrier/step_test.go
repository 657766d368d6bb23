package carrier

import "testing"

// Nobody asks: nothing is paid for.
func TestStepsCostNothingUnasked(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		rep := StepsOf(ctx)
		rep.Begin()
		rep.Done(StepConnect, "192.0.2.25:25", nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
