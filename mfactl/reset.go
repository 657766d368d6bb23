package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func resetCommand(c *client) *cobra.Command {
	var yes, all bool
	cmd := &cobra.Command{
		Use:   "reset USER|--all",
		Short: "Clear a user's enrollment, failures, lock and codes",
		Long: "Clear all that is known of one user: enrollment, failures, lock and codes under\n" +
			"way; with --all, of every user. Where policy requires a second factor the user\n" +
			"must be enrolled anew.",
		Example: "  mfactl reset alice\n  mfactl reset alice --yes\n  mfactl reset --all",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOrAll(args, all); err != nil {
				return err
			}
			if all {
				return c.resetAll(cmd, yes)
			}
			if !yes && !confirm(cmd, fmt.Sprintf("Clear the enrollment of %s? [y/N] ", args[0])) {
				return errNotConfirmed
			}
			user, err := c.reset(cmd.Context(), args[0])
			if err == nil {
				printf(cmd.OutOrStdout(), "%s is reset.\n", user)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&all, "all", false, "every user")
	return cmd
}

var errNotConfirmed = exitError{code: exitFailed, err: errors.New("nothing was changed"), hint: "Answer y, or give --yes."}

// reset returns the canonical name.
func (c *client) reset(ctx context.Context, user string) (string, error) {
	var out wire.Cleared
	err := c.call(ctx, wire.PostReset.For(user), nil, &out)
	return out.User, err
}

func (c *client) resetAll(cmd *cobra.Command, yes bool) error {
	users, err := c.users(cmd, false)
	if err != nil {
		return err
	}
	if len(users) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "No users.")
		return nil
	}
	names := make([]string, len(users))
	for i, v := range users {
		names[i] = v.User
	}
	if !yes && !confirm(cmd, fmt.Sprintf("Clear the enrollment of %s? All must enroll anew. [y/N] ", counted(len(names), "user"))) {
		return errNotConfirmed
	}
	return (&bulk{what: "resetting", done: "reset"}).run(cmd, names, func(ctx context.Context, user string) error {
		_, err := c.reset(ctx, user)
		return err
	})
}

// confirm asks on a terminal; elsewhere, scripts say --yes, and nobody is asked.
func confirm(cmd *cobra.Command, question string) bool {
	if in, ok := cmd.InOrStdin().(*os.File); ok {
		if !term.IsTerminal(int(in.Fd())) {
			return false
		}
	}
	printf(cmd.OutOrStdout(), "%s", question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(line), "y")
}
