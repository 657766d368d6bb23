package deliver

import (
	"errors"
	"time"

	"mfa/internal/text"
)

// Kinds of errors of text messages. An error that wraps one of them wraps
// ErrPermanent, too.
var (
	// ErrNumber is wrapped by errors about the number of the message; NumberReason has
	// the text for the person.
	ErrNumber = errors.New("this number cannot get our text messages")
	// ErrConfig is wrapped by errors that only an administrator can mend:
	// credentials, a sender, an account, a gateway that is not what [sms] says.
	ErrConfig = errors.New("text messages are not set up rightly")
)

// ErrUncertain is wrapped by errors of a text message that may have been taken
// all the same: the request was sent, and no answer came. Each such attempt can cost, and
// the message can arrive twice; so Retry makes at most one more.
var ErrUncertain = errors.New("the message may have been taken")

// A marked error wraps kinds of errors beside its own, without adding their texts.
type marked struct {
	error
	as []error
}

func (e *marked) Unwrap() []error { return append([]error{e.error}, e.as...) }

func mark(err error, as ...error) error { return &marked{err, as} }

// Permanent returns err with ErrPermanent wrapped, too. The text stays.
func Permanent(err error) error { return mark(err, ErrPermanent) }

// Misconfigured returns err with ErrConfig and ErrPermanent wrapped, too. The text stays.
func Misconfigured(err error) error { return mark(err, ErrConfig, ErrPermanent) }

// Uncertain returns err with ErrUncertain wrapped, too. The text stays.
func Uncertain(err error) error { return mark(err, ErrUncertain) }

// OfNumber returns err with ErrNumber and ErrPermanent wrapped, too. The reason is a
// sentence for the person, without a code or the number; NumberReason returns it.
func OfNumber(err error, reason text.Sentence) error {
	return numberError{mark(err, ErrNumber, ErrPermanent), reason}
}

type numberError struct {
	error
	reason text.Sentence // for the person
}

func (e numberError) Unwrap() error { return e.error }

// NumberReason returns a sentence for the person whose number err is about, without a code
// or the number. It says nothing if err does not wrap ErrNumber.
func NumberReason(err error) text.Sentence {
	if e, ok := errors.AsType[numberError](err); ok {
		return e.reason
	}
	if errors.Is(err, ErrNumber) {
		return text.Of("This number cannot get our text messages.")
	}
	return text.Sentence{}
}

// Busy returns err with the time that the next hop wants to be left alone. Retry waits at
// least that long.
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

// A hintedError is an error with a hint. The hint is for the administrator who mends it,
// not for the log, so the text of the error does not hold it.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// Hinted returns err with a hint, which Hint returns. It returns err itself if err is nil or
// hint is empty.
func Hinted(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return hintedError{err, hint}
}

// Hint returns the hint of an error of Send: sentences for an administrator that name
// keys of mfa.toml. It is empty if there is none.
func Hint(err error) string {
	if e, ok := errors.AsType[hintedError](err); ok {
		return e.hint
	}
	return ""
}
