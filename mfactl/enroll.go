package main

import (
	"errors"
	"fmt"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func enrollCommand(c *client) *cobra.Command {
	var email, phone string
	var silent, app bool
	cmd := &cobra.Command{
		Use:   "enroll [USER --email ADDRESS --phone NUMBER --totp]",
		Short: "Set up a second factor: your own, or where a user's codes go",
		Long: "Without USER, set up a second factor for yourself, as at a login: an\n" +
			"authenticator app, codes by email or by text message. If you have one already,\n" +
			"you prove it first.\n\n" +
			"With USER, for administrators: set up where the user's codes go. A mail to the\n" +
			"address tells the user so. An address or a number counts as confirmed once the\n" +
			"user has typed back a code that was sent there; 'mfactl confirm resend' repeats\n" +
			"the mail. With --totp, show the QR code and the key of a new authenticator app, to\n" +
			"hand over; nobody can see them again.",
		Example: "  mfactl enroll\n  mfactl enroll alice --email alice@example.com\n  mfactl enroll alice --phone +17891234567\n  mfactl enroll alice --totp",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if email != "" || phone != "" || app {
					return exitError{code: exitUsage, err: errors.New("--email, --phone and --totp are for another user"), hint: "Give the user, or leave them out."}
				}
				return c.converse(cmd, wire.PostSelf.For(wire.SelfEnroll))
			}
			if email == "" && phone == "" && !app {
				return exitError{code: exitUsage, err: errors.New("nothing to enroll"), hint: "Give an address or a number, or --totp: --email alice@example.com, --phone +17891234567."}
			}
			if err := c.enroll(cmd, args[0], email, phone, silent); err != nil || !app {
				return err
			}
			return c.enrollApp(cmd, args[0])
		},
	}
	cmd.Flags().BoolVar(&app, "totp", false, "set up a new authenticator app")
	cmd.Flags().BoolVar(&silent, "no-message", false, "do not tell the user")
	cmd.Flags().StringVar(&email, "email", "", "send codes to this `ADDRESS`")
	cmd.Flags().StringVar(&phone, "phone", "", "send codes by text message to this `NUMBER`, with + and country code")
	return cmd
}

// enroll sets where the codes of another user go.
func (c *client) enroll(cmd *cobra.Command, user, email, phone string, silent bool) error {
	var v wire.User
	for _, way := range []struct {
		route wire.Route
		to    string
	}{{wire.PutEmail, email}, {wire.PutPhone, phone}} {
		if way.to == "" {
			continue
		}
		in := wire.Contact{Address: way.to, Silent: silent}
		if err := c.call(cmd.Context(), way.route.For(user), in, &v); err != nil {
			return err
		}
		to := v.Email
		if way.route == wire.PutPhone {
			to = v.Phone
		}
		printf(cmd.OutOrStdout(), "%s is enrolled; codes go to %s.\n", v.User, to)
		if way.route == wire.PutPhone {
			c.warnOfNoProvider(cmd)
		}
	}
	return nil
}

// warnOfNoProvider prints a warning if no provider for text messages is configured.
func (c *client) warnOfNoProvider(cmd *cobra.Command) {
	var st wire.Status
	if err := c.call(cmd.Context(), wire.GetStatus.For(), nil, &st); err == nil && st.SMS == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "mfactl: text messages have no provider, so no code goes to the number yet: set provider under [sms] in mfa.toml.")
	}
}

// enrollApp sets up an app for another user and shows what it needs.
func (c *client) enrollApp(cmd *cobra.Command, user string) error {
	var out wire.NewApp
	if err := c.call(cmd.Context(), wire.PostApp.For(user), nil, &out); err != nil {
		return err
	}
	printf(cmd.OutOrStdout(), "For %s:\n\n", out.User)
	printLines(cmd.OutOrStdout(), out.Text)
	return nil
}
