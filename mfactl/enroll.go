package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"mfa/internal/enroll"
	"mfa/internal/server"
)

func enrollCommand(c *client) *cobra.Command {
	var email string
	var silent bool
	cmd := &cobra.Command{
		Use:   "enroll [USER --email ADDRESS]",
		Short: "Set up a second factor: your own, or where a user's codes go",
		Long: "Without USER, set up a second factor for yourself, as at a login: an\n" +
			"authenticator app or codes by email. If you have one already, you prove it first.\n\n" +
			"With USER, for administrators: set up where the user's codes go. A message tells\n" +
			"the user so. The address counts as confirmed once the user has typed back a\n" +
			"code that was sent there; 'mfactl confirm resend' repeats the message.",
		Example: "  mfactl enroll\n  mfactl enroll alice --email alice@example.com",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if email != "" {
					return exitError{code: exitUsage, err: errors.New("--email is for another user"), hint: "Give the user, or leave --email out."}
				}
				return c.converse(cmd, selfPath(server.SelfEnroll))
			}
			if email == "" {
				return exitError{code: exitUsage, err: errors.New("nothing to enroll"), hint: "Give the address: --email alice@example.com."}
			}
			var v enroll.View
			in := map[string]any{"address": email, "silent": silent}
			if err := c.call(cmd.Context(), http.MethodPut, userPath(args[0], "/email"), in, &v); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is enrolled; codes go to %s.\n", v.User, v.Email)
			return nil
		},
	}
	cmd.Flags().BoolVar(&silent, "no-message", false, "do not tell the user")
	cmd.Flags().StringVar(&email, "email", "", "send codes to this `ADDRESS`")
	return cmd
}
