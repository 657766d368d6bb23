package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"mfa/internal/enroll"
)

func enrollCommand(c *client) *cobra.Command {
	var email string
	cmd := &cobra.Command{
		Use:   "enroll USER --email ADDRESS",
		Short: "Set up where a user's codes go",
		Long: "Set up where a user's codes go. The address counts as confirmed once the user\n" +
			"has typed back a code that was sent there.",
		Example: "  mfactl enroll alice --email alice@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if email == "" {
				return exitError{code: exitUsage, err: errors.New("nothing to enroll"), hint: "Give the address: --email alice@example.com."}
			}
			var v enroll.View
			in := map[string]string{"address": email}
			if err := c.call(cmd.Context(), http.MethodPut, userPath(args[0], "/email"), in, &v); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is enrolled; codes go to %s.\n", v.User, v.Email)
			return nil
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "send codes to this `ADDRESS`")
	return cmd
}
