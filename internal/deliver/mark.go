package deliver

import (
	"errors"
	"time"
)

// Errors of text messages that somebody branches on. Each comes with
// ErrPermanent.
var (
	// ErrNumber is wrapped by errors that lie in the number of the message;
	// NumberReason says more to the person.
	ErrNumber = errors.New("this number cannot get our text messages")
	// ErrConfig is wrapped by errors that only an administrator can mend:
	// credentials, a sender, an account, a gateway that is not what [sms] says.
	ErrConfig = errors.New("text messages are not set up rightly")
)

// ErrUncertain is wrapped by errors of a text message that may have been taken
// all the same: the request was out, and no answer came. Each such attempt can
// cost, and ring twice; so Retry makes one more and no third.
var ErrUncertain = errors.New("the message may have been taken")

// A marked error wraps what others branch on, and says no word of it: its text
// already tells what is wrong.
type marked struct {
	error
	as []error
}

func (e *marked) Unwrap() []error { return append([]error{e.error}, e.as...) }

func mark(err error, as ...error) error { return &marked{err, as} }

// Permanent makes err one that wraps ErrPermanent, without another word.
func Permanent(err error) error { return mark(err, ErrPermanent) }

// Misconfigured makes err one that only an administrator can mend: it wraps
// ErrConfig and ErrPermanent.
func Misconfigured(err error) error { return mark(err, ErrConfig, ErrPermanent) }

// Uncertain makes err one that wraps ErrUncertain.
func Uncertain(err error) error { return mark(err, ErrUncertain) }

// OfNumber makes err one that lies in the number of the message: it wraps
// ErrNumber and ErrPermanent. The reason is a sentence for the person, without a
// code or the number.
func OfNumber(err error, reason string) error {
	return numberError{mark(err, ErrNumber, ErrPermanent), reason}
}

type numberError struct {
	error
	reason string // for the person
}

func (e numberError) Unwrap() error { return e.error }

// NumberReason returns what to tell the person whose number err is about: one
// plain sentence without a code or the number. It is empty if err does not wrap
// ErrNumber.
func NumberReason(err error) string {
	if e, ok := errors.AsType[numberError](err); ok {
		return e.reason
	}
	if errors.Is(err, ErrNumber) {
		return "This number cannot get our text messages."
	}
	return ""
}

// Busy makes err one that says how long the next hop wants to be left alone.
func Busy(err error, wait time.Duration) error { return busyError{err, wait} }

type busyError struct {
	error
	wait time.Duration
}

func (e busyError) Unwrap() error { return e.error }

// RetryAfter returns how long the next hop wants to be left alone.
func (e busyError) RetryAfter() time.Duration { return e.wait }

// waitFor returns how long to wait after err: d, or longer if err asks for it.
func waitFor(err error, d time.Duration) time.Duration {
	var busy interface {
		error
		RetryAfter() time.Duration
	}
	if errors.As(err, &busy) {
		return max(d, busy.RetryAfter())
	}
	return d
}

// A hintedError is an error with what to look at. The hint is for the person
// who mends it, not for the log, so the text of the error does without.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// Hinted adds hint to err, if there is one.
func Hinted(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return hintedError{err, hint}
}

// Hint returns what to look at when a carrier's Send failed with err: sentences
// for an administrator that name keys of mfa.toml. It is empty when err says it
// all.
func Hint(err error) string {
	if e, ok := errors.AsType[hintedError](err); ok {
		return e.hint
	}
	return ""
}
