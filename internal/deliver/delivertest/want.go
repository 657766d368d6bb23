package delivertest

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/wire"
)

// Told writes steps one a line, without how long they took.
func Told(steps []wire.Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.Name + " " + s.Detail)
		if s.Err != "" {
			b.WriteString(" ! " + s.Err)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// WantSteps holds steps to patterns, one a step.
func WantSteps(t *testing.T, steps []wire.Step, patterns ...string) {
	t.Helper()
	got := Told(steps)
	want := "^" + strings.Join(patterns, "\n") + "\n$"
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("steps are\n%s\nwant\n%s", got, want)
	}
	for _, s := range steps {
		if s.Took < 0 || s.Took > time.Minute {
			t.Errorf("step %q took %v", s.Name, s.Took)
		}
	}
}

// WantPrivate holds a report to keep what nobody may read.
func WantPrivate(t *testing.T, steps []wire.Step, private ...string) {
	t.Helper()
	for _, p := range private {
		if strings.Contains(Told(steps), p) {
			t.Errorf("%q is in the steps\n%s", p, Told(steps))
		}
	}
}

// WantHint holds an error to a hint with these words, or to none.
func WantHint(t *testing.T, err error, words string) {
	t.Helper()
	if got := deliver.Hint(err); !strings.Contains(got, words) || words == "" && got != "" {
		t.Errorf("hint is %q, want %q; error %v", got, words, err)
	}
}

// WantPermanent fails unless err wraps deliver.ErrPermanent and says all of parts.
func WantPermanent(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, deliver.ErrPermanent) {
		t.Fatalf("error is %v, want a permanent one", err)
	}
	WantSays(t, err, parts...)
}

// WantTemporary fails unless err is worth another try and says all of parts.
func WantTemporary(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil || errors.Is(err, deliver.ErrPermanent) || errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want a temporary one", err)
	}
	WantSays(t, err, parts...)
}

// WantSays fails unless err says all of parts, and none of the passwords that tests use.
func WantSays(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	for _, secret := range []string{"s3cret-word", "an0ther-word", "czNjcmV0LXdvcmQ", "AG1mYQBzM2NyZXQ"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds the password", err)
		}
	}
}
