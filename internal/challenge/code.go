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
	Method mfa.Method
	Setup  string // ID of the mfa.Enrolling that the code proves; empty: it is of what is set up
	End    string // of the prompt: EndCode or one of its like
	Hint   string // what is said to an empty line
	Spent  string // what is said to a code that was used before
	Costly bool   // to look at: of one user one answer at a time, and none while they are locked
	Due    bool   // to be sent, once its first prompt has stood for a moment
	Advice string // what is said with every wrong code; empty: nothing
	Number string // of the token on the shelf that the code is to prove; empty: none

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

// said returns the text after an answer that is neither right nor counted.
func (k Kind) said(r Result) string {
	switch r {
	case Unsent:
		return k.Hint
	case Spent:
		return k.Spent
	case Expired:
		return textExpired
	case Replaced:
		return textReplaced
	case Void:
		return textVoid
	case Elsewhere:
		return textElsewhere
	}
	return textNoCode + " " + k.Hint
}

// fixed has the methods News and Send of a Code that is not sent.
type fixed struct{}

func (fixed) News() (string, error) { return "", nil }

func (fixed) Send(context.Context, bool) (string, error) { return textNotSent, nil }
