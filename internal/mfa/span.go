package mfa

import (
	"fmt"
	"time"
)

// SpanLeft says for people how much longer something lasts. It rounds down, so that
// nobody counts on time that is not there.
func SpanLeft(d time.Duration) string {
	unit, _ := unitOf(d)
	return Span(d.Truncate(unit))
}

// Span says a duration as people do, like "15 minutes". It rounds up, so that nobody
// comes back too early.
func Span(d time.Duration) string {
	unit, name := unitOf(d)
	n := max(1, (d+unit-1)/unit)
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}

// unitOf returns the unit in which people say a duration.
func unitOf(d time.Duration) (unit time.Duration, name string) {
	switch {
	case d > 48*time.Hour:
		return 24 * time.Hour, "day"
	case d > 2*time.Hour:
		return time.Hour, "hour"
	case d > 90*time.Second:
		return time.Minute, "minute"
	}
	return time.Second, "second"
}
