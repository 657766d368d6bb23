package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"mfa/internal/mfa"
)

// Retry returns a Sender that sends with s again after each failure, until s
// takes the message, an error wraps ErrPermanent, a second one wraps
// ErrUncertain, or ctx ends. It waits base after the first failure, twice as
// long after each further one, but at most limit or as long as the error asks for (Busy).
// Each wait is shortened at random by up to a half, so that messages that failed together
// do not come back together.
//
// It gives up at once when ctx will end before the next attempt, so that there
// is time for another way. The error then wraps the last one of s that was not caused by
// the end of ctx, if there was one.
func Retry(s Sender, base, limit time.Duration) Sender {
	return retrier{s: s, base: base, limit: limit}
}

// maxUncertain is after how many ErrUncertain Retry gives up.
const maxUncertain = 2

type retrier struct {
	s           Sender
	base, limit time.Duration
}

func (r retrier) Send(ctx context.Context, m mfa.Message) error {
	var last error
	uncertain := 0
	wait := min(r.base, r.limit)
	for attempts := 1; ; attempts++ {
		err := r.s.Send(ctx, m)
		if err == nil || errors.Is(err, ErrPermanent) {
			return err
		}
		// An attempt that ctx cut short says less than the one before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if errors.Is(err, ErrUncertain) {
			uncertain++
		}
		next := waitFor(err, jitter(wait))
		until, ends := ctx.Deadline()
		if uncertain == maxUncertain || ends && time.Until(until) < next || !Pause(ctx, next) {
			return fmt.Errorf("gave up after %s: %w", counted(attempts), last)
		}
		wait = min(2*wait, r.limit)
	}
}

// counted says how many attempts there were.
func counted(attempts int) string {
	if attempts == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", attempts)
}

// Pause waits for d, or until ctx ends, and reports whether ctx has not ended.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// jitter returns a duration between d/2 and d.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/2+1)
}
