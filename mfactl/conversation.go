package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// converse holds a conversation with mfad about the caller's own enrollment, in
// the words that a login uses.
func (c *client) converse(cmd *cobra.Command, to wire.Resource) error {
	if tty := ttyName(); tty != "" {
		to = to.With(wire.QueryTTY, tty)
	}
	outcome, err := c.daemon.Converse(cmd.Context(), to, newTerminal(cmd))
	_, answered := errors.AsType[*wire.Error](err)
	switch {
	case answered, errors.Is(err, wire.ErrInterrupted):
		return exitFor(err)
	case cmd.Context().Err() != nil:
		return exitError{code: exitFailed, err: errors.New("interrupted; nothing was changed but what was confirmed")}
	case errors.Is(err, wire.ErrUnreachable):
		return exitFor(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return exitError{code: exitUnreachable, err: errors.New("mfad ended in the middle of the conversation")}
	case err != nil:
		return exitError{code: exitFailed, err: err}
	case outcome == mfa.Accepted || outcome == mfa.Exempt:
		return nil
	case outcome == mfa.MustEnroll:
		return exitError{code: exitNotAllowed, err: errors.New("not done")}
	}
	return exitError{code: exitFailed, err: errors.New("not done")}
}
