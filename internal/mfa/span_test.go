package mfa

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
		if got := Span(d); got != want {
			t.Errorf("%v is said as %q, want %q", d, got, want)
		}
	}
}

// Rounded down: a code that is good for 9 minutes and 50 seconds is not good for 10.
func TestSpanLeft(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 1999 * time.Millisecond: "1 second", 59*time.Second + 999*time.Millisecond: "59 seconds",
		90 * time.Second: "90 seconds", 119 * time.Second: "60 seconds", 120 * time.Second: "2 minutes", 590 * time.Second: "9 minutes", 10 * time.Minute: "10 minutes",
		119 * time.Minute: "119 minutes", 3*time.Hour - 1: "120 minutes", 49 * time.Hour: "48 hours",
	} {
		if got := said(SpannedLeft(d)); got != want {
			t.Errorf("%v is said as %q, want %q", d, got, want)
		}
	}
}
