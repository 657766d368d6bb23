package challenge

import (
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// A wording is what is said of the codes of a method, with places for where they go and
// how long they are good.
type wording struct {
	thing   string // that goes out, for the log
	sent    string
	leaves  string // nobody has taken it yet
	follows string // it is about to go out
	resent  string
	resends string // the same, and nobody has taken it yet
	before  string // when it went out
	left    string // how long it is good yet
	none    string // nothing went out yet
	failed  string
	unsent  string // the same, where the code went another way
	lost    string // it was taken, and did not arrive
	noMore  string // for how long
}

var (
	ofSent = wording{
		thing:   "text message",
		sent:    "A code was sent to %s.",
		leaves:  "A code is being sent to %s, but has not left yet.",
		follows: "A code is being sent to %s.",
		resent:  "A new code was sent to %s.",
		resends: "A new code is being sent to %s, but has not left yet.",
		before:  "A code was sent to %s %s.",
		left:    "It is still good for %s. Type r for a new one.",
		none:    "No code was sent yet. Type r to have one sent to %s.",
		failed:  "The code could not be sent to %s.",
		unsent:  "The text message to %s could not be sent.",
		lost:    "The text message to %s did not arrive.",
		noMore:  "No more text messages can be sent for now. The next can be sent in %s.",
	}
	ofCalls = wording{
		thing:   "call",
		sent:    "%s is being called: a voice reads the code twice.",
		leaves:  "%s is to be called, but the call has not gone out yet.",
		follows: "%s will be called: a voice reads the code twice.",
		resent:  "%s is being called again, with a new code.",
		resends: "%s is to be called again, but the call has not gone out yet.",
		before:  "%s was called %s.",
		left:    "The code is still good for %s. Type r for a new call.",
		none:    "Nobody was called yet. Type r to have a code read out at %s.",
		failed:  "The call to %s could not be made.",
		unsent:  "The call to %s could not be made.",
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

// goes is what is said of a code that goes out: it is only being sent until a carrier took it.
func (o wording) goes(underway bool) string {
	if underway {
		return o.leaves
	}
	return o.sent
}

// goesAgain is goes for a code in the place of another.
func (o wording) goesAgain(underway bool) string {
	if underway {
		return o.resends
	}
	return o.resent
}

// textOn says where a code goes, and in the next line how long it is good.
func textOn(w *text.Printer, what, masked, goodFor string) string {
	return w.Say(what, masked) + "\n" + goodFor
}

func textNotSentYet(w *text.Printer, m mfa.Method, masked string) string {
	return w.Say(wordOf(m).none, masked)
}

// textCodeAlreadySent is of a code that may have fallen back to email.
func textCodeAlreadySent(w *text.Printer, p mfa.PendingCode, ago, left time.Duration, underway bool) string {
	m := p.Method
	if p.Via != "" {
		m = mfa.Email
	}
	where := w.Say(wordOf(m).before, masked(p), text.AgoOf(ago))
	if underway {
		where = w.Say(wordOf(m).leaves, masked(p))
	}
	return where + "\n" + w.Say(wordOf(m).left, text.SpanLeft(left))
}

func textCodeResent(w *text.Printer, m mfa.Method, masked string, underway bool) string {
	return w.Join(w.Say(wordOf(m).goesAgain(underway), masked), w.Say(textOldIsVoid))
}
