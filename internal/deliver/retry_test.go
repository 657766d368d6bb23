package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/mfa"
)

// A flaky fails with its errors one after another, then takes every message.
type flaky struct {
	errs  []error
	calls []time.Time
}

func (f *flaky) Send(context.Context, mfa.Message) error {
	f.calls = append(f.calls, time.Now())
	if n := len(f.calls); n <= len(f.errs) {
		return f.errs[n-1]
	}
	return nil
}

func TestRetryBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := errors.New("451 busy")
		f := &flaky{errs: []error{busy, busy, busy, busy, busy}}
		if err := Retry(f, time.Second, 4*time.Second).Send(t.Context(), mfa.Message{}); err != nil {
			t.Fatal(err)
		}
		if len(f.calls) != 6 {
			t.Fatalf("%d attempts, want 6", len(f.calls))
		}
		for i, longest := range []time.Duration{1, 2, 4, 4, 4} {
			longest *= time.Second
			if gap := f.calls[i+1].Sub(f.calls[i]); gap < longest/2 || gap > longest {
				t.Errorf("pause %d is %v, want %v to %v", i+1, gap, longest/2, longest)
			}
		}
	})
}

func TestRetrySpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gaps := map[time.Duration]bool{}
		for range 20 {
			f := &flaky{errs: []error{errors.New("451 busy")}}
			if err := Retry(f, time.Hour, time.Hour).Send(t.Context(), mfa.Message{}); err != nil {
				t.Fatal(err)
			}
			gaps[f.calls[1].Sub(f.calls[0])] = true
		}
		if len(gaps) < 2 {
			t.Error("twenty pauses are all the same: no jitter")
		}
	})
}

func TestRetryStopsAtPermanent(t *testing.T) {
	no := Permanent(errors.New("550 no"))
	f := &flaky{errs: []error{errors.New("451 busy"), no}}
	if err := Retry(f, time.Microsecond, time.Microsecond).Send(t.Context(), mfa.Message{}); !errors.Is(err, ErrPermanent) {
		t.Errorf("error is %v, want the permanent one", err)
	}
	if len(f.calls) != 2 {
		t.Errorf("%d attempts, want 2", len(f.calls))
	}
}

// until answers 451 a few times and then says nothing until ctx ends.
type until int

func (u *until) Send(ctx context.Context, _ mfa.Message) error {
	if *u--; *u >= 0 {
		return errors.New("451 busy")
	}
	<-ctx.Done()
	return fmt.Errorf("connect: %w", ctx.Err())
}

func TestRetryDoesNotWaitForAnAttemptThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		u := until(1)
		busy := senderFunc(func(ctx context.Context, m mfa.Message) error {
			return busyError{u.Send(ctx, m), time.Minute}
		})
		err := Retry(busy, time.Second, time.Second).Send(ctx, mfa.Message{})
		if took := time.Since(start); took != 0 || err == nil || err.Error() != "gave up after 1 attempt: 451 busy" {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestRetryTellsTheLastCause(t *testing.T) {
	for answers, want := range map[until]string{
		0:  "gave up after 1 attempt: connect: context deadline exceeded",
		3:  "gave up after 4 attempts: 451 busy",
		99: "gave up after 10 attempts: 451 busy",
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			u := answers
			err := Retry(&u, time.Second, time.Second).Send(ctx, mfa.Message{})
			// Not before another attempt would come too late.
			if took := time.Since(start); took > 10*time.Second || took < 9*time.Second {
				t.Errorf("gave up after %v, want when the context ended", took)
			}
			got := err.Error()
			if answers == 99 { // how many fit in is up to the jitter
				got, want = got[strings.LastIndex(got, "attempts"):], "attempts: 451 busy"
			}
			if got != want {
				t.Errorf("error is %q, want %q", err, want)
			}
		})
	}
}

func TestRetryEndsWithTheSecondUncertain(t *testing.T) {
	busy := errors.New("503 busy")
	unsure := Uncertain(errors.New("no answer within 10s"))
	for name, c := range map[string]struct {
		errs  []error
		calls int
		sent  bool
	}{
		"one":                 {[]error{unsure}, 2, true},
		"two":                 {[]error{unsure, unsure}, 2, false},
		"two, apart":          {[]error{unsure, busy, busy, unsure}, 4, false},
		"one among many busy": {[]error{busy, busy, unsure, busy, busy}, 6, true},
	} {
		f := &flaky{errs: c.errs}
		err := Retry(f, time.Microsecond, time.Microsecond).Send(t.Context(), mfa.Message{})
		if (err == nil) != c.sent || len(f.calls) != c.calls {
			t.Errorf("%s: %d attempts, want %d: %v", name, len(f.calls), c.calls, err)
		}
		if want := fmt.Sprintf("gave up after %d attempts: no answer within 10s", c.calls); err != nil && (err.Error() != want || !errors.Is(err, ErrUncertain)) {
			t.Errorf("%s: error is %q, want %q", name, err, want)
		}
	}
}

func TestWaitFor(t *testing.T) {
	busy := fmt.Errorf("twilio: %w", busyError{errors.New("429"), 7 * time.Second})
	for _, tc := range []struct {
		err     error
		d, want time.Duration
	}{
		{errors.New("other"), time.Second, time.Second},
		{busy, time.Second, 7 * time.Second},
		{busy, 9 * time.Second, 9 * time.Second},
	} {
		if got := waitFor(tc.err, tc.d); got != tc.want {
			t.Errorf("wait %v after %v, want %v", got, tc.err, tc.want)
		}
	}
}
