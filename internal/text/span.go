package text

import (
	"time"

	"mfa/internal/mfa"
)

// A Span is a duration as people say it, like "15 minutes". It is rounded as mfa.Span and
// mfa.SpannedLeft round.
type Span struct {
	n    int
	unit time.Duration
}

// SpanOf returns d, rounded up.
func SpanOf(d time.Duration) Span { return newSpan(mfa.Spanned(d)) }

// SpanLeft returns d, rounded down: nobody shall count on time that is not there.
func SpanLeft(d time.Duration) Span { return newSpan(mfa.SpannedLeft(d)) }

// Exact returns d in its largest whole unit, like "90 minutes".
func Exact(d time.Duration) Span {
	for _, unit := range [...]time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		if d >= unit && d%unit == 0 {
			return Span{int(d / unit), unit}
		}
	}
	return Span{int(d / time.Second), time.Second}
}

func newSpan(n int64, unit time.Duration) Span { return Span{int(n), unit} }

func (s Span) said(p *Printer) string {
	switch s.unit {
	case 24 * time.Hour:
		return p.Count(s.n, "1 day", "%d days")
	case time.Hour:
		return p.Count(s.n, "1 hour", "%d hours")
	case time.Minute:
		return p.Count(s.n, "1 minute", "%d minutes")
	}
	return p.Count(s.n, "1 second", "%d seconds")
}

// An Ago is a Span that lies behind, like "15 minutes ago": some languages have other
// endings for that.
type Ago Span

// AgoOf is SpanOf for what lies behind.
func AgoOf(d time.Duration) Ago { return Ago(SpanOf(d)) }

func (s Ago) said(p *Printer) string {
	switch s.unit {
	case 24 * time.Hour:
		return p.Count(s.n, "1 day ago", "%d days ago")
	case time.Hour:
		return p.Count(s.n, "1 hour ago", "%d hours ago")
	case time.Minute:
		return p.Count(s.n, "1 minute ago", "%d minutes ago")
	}
	return p.Count(s.n, "1 second ago", "%d seconds ago")
}
