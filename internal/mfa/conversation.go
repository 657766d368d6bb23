package mfa

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A PromptKind says what the other end does with a Prompt's text.
type PromptKind uint8

// The kinds of prompt, as in pam_conv(3).
const (
	Info      PromptKind = iota // show it, expect nothing
	Failure                     // show it as an error, expect nothing
	Ask                         // show it, read a line with echo
	AskHidden                   // show it, read a line without echo
)

// A Prompt is one thing said to the person who logs in.
type Prompt struct {
	Kind PromptKind
	Text string // may have several lines; no control bytes but \n
}

// Errors of a conversation. A Prompter's error wraps one of them, or the cause
// why the connection ended.
var (
	// ErrNoConversation: the application could not or would not answer
	// (BatchMode, the password method of sshd, the person pressed Ctrl-C).
	ErrNoConversation = errors.New("the application cannot hold a conversation")
	// ErrPasswordTyped: the answer was the first factor's password. The module
	// kept it to itself; it is not an attempt.
	ErrPasswordTyped = errors.New("the password was given in place of a code")
)

// A Withheld is the error in place of an answer that the application kept to itself,
// because it lets nobody in by that name. Its value is the number of bytes that were
// typed. sshd does so for names that do not exist, and for those that its
// configuration refuses.
type Withheld int

// Error says so.
func (w Withheld) Error() string {
	return fmt.Sprintf("the application withheld an answer of %d bytes", int(w))
}

// junkPassword are the bytes that sshd gives, over and over, in place of each that was
// typed: fake_password in its auth-pam.c.
const junkPassword = "\b\n\r\x7fINCORRECT"

// IsWithheld says whether an answer, as it came, is one that sshd withheld.
func IsWithheld(answer string) (w Withheld, is bool) {
	n := len(answer)
	return Withheld(n), n > 0 && strings.Repeat(junkPassword, n/len(junkPassword)+1)[:n] == answer
}

// An Ended is the cause (context.Cause) of the context of a conversation that was ended
// from outside. It decides the verdict, whatever was answered.
type Ended struct {
	Outcome Outcome // a refusal
	Text    string  // for the person; empty: nothing is shown
	Err     error   // the reason, for the log and audit
}

// Error says why.
func (e Ended) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e Ended) Unwrap() error { return e.Err }

// ErrStopping is the cause of a conversation that ended because the daemon stops.
var ErrStopping error = Ended{
	Outcome: Unavailable, Text: "The second factor service restarts. Log in again.",
	Err: errors.New("the daemon is stopping"),
}

// A Prompter shows prompts and reads the answers: a PAM application, mfactl in a
// terminal, or a script in a test. Prompt shows p and, if p asks, returns the
// line typed, else "". Its error wraps ErrNoConversation, ErrPasswordTyped, a Withheld
// or the cause why the connection ended. Only one goroutine may use a Prompter at once.
type Prompter interface {
	Prompt(ctx context.Context, p Prompt) (answer string, err error)
}
