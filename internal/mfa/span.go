package mfa

import (
	"fmt"
	"time"
)

// Span says a duration as people do, like "15 minutes". It rounds up, so that nobody
// comes back too early.
func Span(d time.Duration) string { return said(Spanned(d)) }

// Spanned returns what Span says: so many days, hours, minutes or seconds.
func Spanned(d time.Duration) (n int64, unit time.Duration) {
	unit = unitOf(d)
	return int64(max(1, (d+unit-1)/unit)), unit
}

// SpannedLeft is Spanned for how much longer something lasts. It rounds down, so that nobody
// counts on time that is not there.
func SpannedLeft(d time.Duration) (n int64, unit time.Duration) {
	return Spanned(d.Truncate(unitOf(d)))
}

// unitOf returns the unit in which people say a duration.
func unitOf(d time.Duration) time.Duration {
	switch {
	case d > 48*time.Hour:
		return 24 * time.Hour
	case d > 2*time.Hour:
		return time.Hour
	case d > 90*time.Second:
		return time.Minute
	}
	return time.Second
}

func said(n int64, unit time.Duration) string {
	name := "second"
	switch unit {
	case 24 * time.Hour:
		name = "day"
	case time.Hour:
		name = "hour"
	case time.Minute:
		name = "minute"
	}
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
