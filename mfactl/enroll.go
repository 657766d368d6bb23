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
	var email, phone string
	var silent bool
	cmd := &cobra.Command{
		Use:   "enroll [USER --email ADDRESS --phone NUMBER]",
		Short: "Set up a second factor: your own, or where a user's codes go",
		Long: "Without USER, set up a second factor for yourself, as at a login: an\n" +
			"authenticator app, codes by email or by text message. If you have one already,\n" +
			"you prove it first.\n\n" +
			"With USER, for administrators: set up where the user's codes go. A mail to the\n" +
			"address tells the user so. An address or a number counts as confirmed once the\n" +
			"user has typed back a code that was sent there; 'mfactl confirm resend' repeats\n" +
			"the mail.",
		Example: "  mfactl enroll\n  mfactl enroll alice --email alice@example.com\n  mfactl enroll alice --phone +17891234567",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if email != "" || phone != "" {
					return exitError{code: exitUsage, err: errors.New("--email and --phone are for another user"), hint: "Give the user, or leave them out."}
				}
				return c.converse(cmd, selfPath(server.SelfEnroll))
			}
			if email == "" && phone == "" {
				return exitError{code: exitUsage, err: errors.New("nothing to enroll"), hint: "Give an address or a number: --email alice@example.com, --phone +17891234567."}
			}
			return c.enroll(cmd, args[0], email, phone, silent)
		},
	}
	cmd.Flags().BoolVar(&silent, "no-message", false, "do not tell the user")
	cmd.Flags().StringVar(&email, "email", "", "send codes to this `ADDRESS`")
	cmd.Flags().StringVar(&phone, "phone", "", "send codes by text message to this `NUMBER`, with + and country code")
	return cmd
}

// enroll sets where the codes of another user go.
func (c *client) enroll(cmd *cobra.Command, user, email, phone string, silent bool) error {
	var v enroll.View
	for _, way := range []struct{ path, to string }{{"/email", email}, {"/phone", phone}} {
		if way.to == "" {
			continue
		}
		in := map[string]any{"address": way.to, "silent": silent}
		if err := c.call(cmd.Context(), http.MethodPut, userPath(user, way.path), in, &v); err != nil {
			return err
		}
		to := v.Email
		if way.path == "/phone" {
			to = v.Phone
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is enrolled; codes go to %s.\n", v.User, to)
	}
	return nil
}
