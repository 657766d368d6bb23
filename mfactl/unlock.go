package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func unlockCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use:     "unlock USER",
		Short:   "End a user's lock and forget the wrong codes",
		Example: "  mfactl unlock alice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out struct {
				User      string `json:"user"`
				WasLocked bool   `json:"was_locked"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, userPath(args[0], "/unlock"), nil, &out); err != nil {
				return err
			}
			text := "%s was not locked; wrong codes so far are forgotten.\n"
			if out.WasLocked {
				text = "%s is unlocked.\n"
			}
			fmt.Fprintf(cmd.OutOrStdout(), text, out.User)
			return nil
		},
	}
}
