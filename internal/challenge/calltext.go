package challenge

import (
	"fmt"
	"time"

	"mfa/internal/mfa"
)

// A wording is what is said of the codes of a method, with places for where they go and
// how long they are good.
type wording struct {
	thing   string // that goes out
	sent    string
	leaves  string // nobody has taken it yet
	follows string // it is about to go out
	resent  string
	before  string // when it went out, and how long it is good yet
	none    string // nothing went out yet
	failed  string
	lost    string // it was taken, and did not arrive
	noMore  string // for how long
}

var (
	ofSent = wording{
		thing:   "text message",
		sent:    "A code was sent to %s.\n%s",
		leaves:  "A code is being sent to %s, but has not left yet.\n%s",
		follows: "A code is being sent to %s.\n%s",
		resent:  "A new code was sent to %s. %s",
		before:  "A code was sent to %s %s ago.\nIt is still good for %s. Type r for a new one.",
		none:    "No code was sent yet. Type r to have one sent to %s.",
		failed:  "The code could not be sent to %s.",
		lost:    "The text message to %s did not arrive.",
		noMore:  "No more text messages can be sent for now. The next can be sent in %s.",
	}
	ofCalls = wording{
		thing:   "call",
		sent:    "%s is being called: a voice reads the code twice.\n%s",
		leaves:  "%s is to be called, but the call has not gone out yet.\n%s",
		follows: "%s will be called: a voice reads the code twice.\n%s",
		resent:  "%s is being called again, with a new code. %s",
		before:  "%s was called %s ago.\nThe code is still good for %s. Type r for a new call.",
		none:    "Nobody was called yet. Type r to have a code read out at %s.",
		failed:  "The call to %s could not be made.",
		lost:    "The call to %s did not get through.",
		noMore:  "No more calls can be made for now. The next can be made in %s.",
	}
)

// wordOf returns what is said of the codes of m.
func wordOf(m mfa.Method) wording {
	if m == mfa.Call {
		return ofCalls
	}
	return ofSent
}

func textCodeLeaves(m mfa.Method, masked, goodFor string) string {
	return fmt.Sprintf(wordOf(m).leaves, masked, goodFor)
}

func textCodeSent(m mfa.Method, masked, goodFor string) string {
	return fmt.Sprintf(wordOf(m).sent, masked, goodFor)
}

func textCodeFollows(m mfa.Method, masked, goodFor string) string {
	return fmt.Sprintf(wordOf(m).follows, masked, goodFor)
}

func textNotSentYet(m mfa.Method, masked string) string { return fmt.Sprintf(wordOf(m).none, masked) }

// textCodeAlreadySent is of a code that may have fallen back to email.
func textCodeAlreadySent(p mfa.PendingCode, ago, left time.Duration) string {
	m := p.Method
	if p.Via != "" {
		m = mfa.Email
	}
	return fmt.Sprintf(wordOf(m).before, masked(p), mfa.Span(ago), mfa.SpanLeft(left))
}

func textCodeResent(m mfa.Method, masked string) string {
	return fmt.Sprintf(wordOf(m).resent, masked, textOldIsVoid)
}
