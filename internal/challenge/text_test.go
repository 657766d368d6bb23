package login

import (
	"testing"
	"time"
)

// Rounded up: who comes back when told to is not sent away again.
func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 second", time.Millisecond: "1 second", time.Second: "1 second", 1001 * time.Millisecond: "2 seconds",
		90 * time.Second: "90 seconds", 91 * time.Second: "2 minutes", 10 * time.Minute: "10 minutes",
		2 * time.Hour: "120 minutes", 2*time.Hour + 1: "3 hours", 48 * time.Hour: "48 hours", 49 * time.Hour: "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is said as %q, want %q", d, got, want)
		}
	}
}
