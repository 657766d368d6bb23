package challenge

import (
	"context"
	"time"

	"mfa/internal/mfa"
)

// A Code is one kind of code that a person may be asked for. It belongs to one
// Conversation. One goroutine at a time may use it; Send with unasked may be called from
// another one while a prompt stands.
type Code interface {
	// Kind returns how the code is asked for now.
	Kind() Kind
	// News returns a text for the next prompt, once; "" if there is none. With an error the
	// code could not be sent, and the text says why.
	News() (text string, err error)
	// Prepare does the part of a check that is slow or may fail, and returns the rest. It
	// returns nil for an answer that does not have the shape of such a code.
	Prepare(ctx context.Context, answer string) (CheckFunc, error)
	// Send sends the code, or another in its place, and returns the text for the next
	// prompt. With unasked it is the first code, sent because Kind.Due said so; News
	// returns its text and error later.
	Send(ctx context.Context, unasked bool) (text string, err error)
}

// A Kind is how a code is asked for.
type Kind struct {
	Method  mfa.Method
	Setup   string // ID of the mfa.Enrolling that the code proves; empty: it is of what is set up
	End     string // of the prompt: EndCode or one of its like
	Hint    string // what is said to an empty line
	Spent   string // what is said to a code that was used before, in English
	Instead string // what to type in its place, in English
	Costly  bool   // to look at: of one user one answer at a time, and none while they are locked
	Due     bool   // to be sent, once its first prompt has stood for a moment
	Advice  string // what is said with every wrong code; empty: nothing
	Number  string // of the token on the shelf that the code is to prove; empty: none

	Doubted, DoubtedReason string // what is said, and written down, of a code that is Doubted
}

// A CheckFunc checks an answer within the update that counts it. It changes st only to spend
// what it accepts and to note what it found of the codes. It may run several times.
type CheckFunc func(st *mfa.State, now time.Time) Judgement

// A Judgement is the result of a CheckFunc.
type Judgement struct {
	Result
	Method  mfa.Method // whose code it was looked at as; empty: that of the Kind
	Arrived Target     // right, and sent: the way it took
	Step    int64      // right, and of an app: when it was shown; of a token in a setup: the next count
	Digits  int        // right, and of a token in a setup: how many it shows
	Ahead   int64      // right, and of a token that was found again: so many codes were passed over
	Drift   *mfa.Drift // wrong: the app's clock seems to be off
}

// A Result says how an answer was judged. The zero value is a wrong code, the only result
// that is ever counted as a failure.
type Result uint8

// The results.
const (
	Wrong     Result = iota // counted, except in a setup
	Right                   // and spent
	None                    // cannot be a code
	Unsent                  // nothing was sent that it could be
	Spent                   // was right, and is used
	Expired                 // was right, and is too old
	Replaced                // was right, and a newer one was sent
	Void                    // was right, and was given up
	Elsewhere               // is right for another login
	Doubted                 // not looked at: what was used before is not known for sure
)

// said returns what is said of an answer that is neither right nor counted, and what to type
// in its place, both in English; empty for an answer that cannot be a code.
func (k Kind) said(r Result) (what, instead string) {
	switch r {
	case Spent:
		return k.Spent, k.Instead
	case Expired:
		return textExpired, adviceResend
	case Replaced:
		return textReplaced, adviceNewer
	case Void:
		return textVoid, adviceResend
	case Elsewhere:
		return textElsewhere, adviceThis
	}
	return "", ""
}

// toldOf returns the text after an answer that is neither right nor counted.
func (c *Conversation) toldOf(k Kind, r Result) string {
	if r == Unsent {
		return k.Hint
	}
	if what, instead := k.said(r); what != "" {
		return c.User.Words().Join(c.Words(what), c.Words(instead))
	}
	return c.User.Words().Join(c.Words(textNoCode), k.Hint)
}

// fixed has the methods News and Send of a Code that is not sent.
type fixed struct{ of *Conversation }

func (fixed) News() (string, error) { return "", nil }

func (f fixed) Send(context.Context, bool) (string, error) { return f.of.Words(textNotSent), nil }
