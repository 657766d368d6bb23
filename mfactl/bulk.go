package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// A bulk does one thing for many users, one after the other. It goes on after a
// failure, unless mfad cannot be reached.
type bulk struct {
	what string // of the meter: "resetting"
	done string // of the summary: "reset"

	failures []string
	skipped  int
}

// errSkip is wrapped by the error of a user for whom there was nothing to do.
var errSkip = errors.New("nothing to do")

// run calls do for each of users, shows its progress, and prints a summary. The error
// carries the exit code: exitFailed if do failed for a user.
func (b *bulk) run(cmd *cobra.Command, users []string, do func(ctx context.Context, user string) error) error {
	m := newMeter(cmd, b.what, len(users))
	defer m.end()
	done := 0
	for _, user := range users {
		err := cmd.Context().Err()
		if err != nil {
			break
		}
		switch err = do(cmd.Context(), user); {
		case errors.Is(err, errSkip):
			b.skipped++
		case err == nil:
			done++
		case cmd.Context().Err() != nil:
		default:
			if exit, ok := errors.AsType[exitError](err); ok && exit.code == exitUnreachable {
				m.end()
				b.summary(cmd, done, len(users))
				return err // it will not answer the others either
			}
			b.failures = append(b.failures, fmt.Sprintf("%s: %v", user, err))
		}
		m.step()
	}
	m.end()
	b.summary(cmd, done, len(users))
	switch {
	case cmd.Context().Err() != nil:
		return exitError{code: exitFailed, err: errors.New("interrupted")}
	case len(b.failures) > 0:
		return exitError{code: exitFailed, err: fmt.Errorf("%s failed", counted(len(b.failures), "user"))}
	}
	return nil
}

// summary lists the failures and counts the rest.
func (b *bulk) summary(cmd *cobra.Command, done, total int) {
	for _, line := range b.failures {
		printf(cmd.ErrOrStderr(), "mfactl: %s\n", line)
	}
	text := fmt.Sprintf("%s of %d %s", counted(done, "user"), total, b.done)
	if b.skipped > 0 {
		text += fmt.Sprintf(", %d with nothing to do", b.skipped)
	}
	if len(b.failures) > 0 {
		text += fmt.Sprintf(", %d failed", len(b.failures))
	}
	printf(cmd.OutOrStdout(), "%s.\n", text)
}
