package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func unlockCommand(c *client) *cobra.Command {
	var ahead bool
	cmd := &cobra.Command{
		Use:   "unlock USER|--ahead",
		Short: "End a user's lock, and forget the wrong codes and what a wrong clock left",
		Long: "End a user's lock, forget the wrong codes, and end all that is remembered of a time\n" +
			"that has not come: the clock of this machine ran ahead, or was set back since. Codes\n" +
			"of their app count again.\n\n" +
			"With --ahead end what is of a time that has not come of every user who has such, and\n" +
			"nothing else: who is locked stays locked, for as long as it was meant.",
		Example: "  mfactl unlock alice\n  mfactl unlock --ahead",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case ahead == (len(args) > 0):
				return exitError{code: exitUsage, err: fmt.Errorf("name one USER, or say --ahead"), hint: "Try 'mfactl help unlock'."}
			case ahead:
				return c.endFutureTimes(cmd)
			}
			var out wire.Unlocked
			if err := c.call(cmd.Context(), wire.PostUnlock.For(args[0]), nil, &out); err != nil {
				return err
			}
			text := "%s was not locked; wrong codes so far are forgotten.\n"
			if out.WasLocked {
				text = "%s is unlocked.\n"
			}
			printf(cmd.OutOrStdout(), text, out.User)
			if len(out.Ended) > 0 {
				printf(cmd.OutOrStdout(), "Ended, as of a time that has not come: %s.\n", strings.Join(out.Ended, ", "))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&ahead, "ahead", false, "for every user, but only what is of a time that has not come")
	return cmd
}

// endFutureTimes ends, for all users, what is remembered of a time that has not come.
func (c *client) endFutureTimes(cmd *cobra.Command) error {
	all, err := c.users(cmd, false)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(v wire.User) bool { return len(v.Ahead) == 0 })
	if len(all) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "Nothing is remembered of a time that has not come.")
		return nil
	}
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.User
	}
	return (&bulk{what: "ending", done: "settled"}).run(cmd, names, func(ctx context.Context, user string) error {
		return c.call(ctx, wire.PostUnlock.For(user).With(wire.QueryAhead, wire.Yes), nil, nil)
	})
}
