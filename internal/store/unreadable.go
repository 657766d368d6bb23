package store

import "errors"

// ErrUnreadable is wrapped by errors about a record that exists and does not parse: an
// administrator has to mend it, or to reset the user.
var ErrUnreadable = errors.New("record cannot be read")

// Unreadable returns an error that wraps ErrUnreadable without saying so: the text of
// err names the place already.
func Unreadable(err error) error { return unreadableError{err} }

type unreadableError struct{ error }

func (e unreadableError) Unwrap() []error { return []error{e.error, ErrUnreadable} }
