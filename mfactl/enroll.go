package main

import (
	"errors"
	"fmt"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func enrollCommand(c *client) *cobra.Command {
	var email, phone string
	var silent, app, drawn bool
	var token newToken
	cmd := &cobra.Command{
		Use:   "enroll [USER --email ADDRESS --phone NUMBER --totp --hotp]",
		Short: "Set up a second factor: your own, or where a user's codes go",
		Long: "Without USER, set up a second factor for yourself, as at a login: an\n" +
			"authenticator app, a token, codes by email or by text message. If you have one\n" +
			"already, you prove it first.\n\n" +
			"With USER, for administrators: set up where the user's codes go. A mail to the\n" +
			"address tells the user so. An address or a number counts as confirmed once the\n" +
			"user has typed back a code that was sent there; 'mfactl confirm resend' repeats\n" +
			"the mail. With --totp, show the key of a new authenticator app, to hand over, and\n" +
			"with --qr draw it as a QR code, too; nobody can see it again.\n\n" +
			"With --hotp, set up a token that counts (RFC 4226). Its secret, in base32 or\n" +
			"hexadecimal, is the first line of --secret-file, - for the standard input. With\n" +
			"--serial alone it is the token of that number that import brought in; without\n" +
			"both a new one is made and shown for an app that counts.",
		Example: "  mfactl enroll\n  mfactl enroll alice --email alice@example.com\n  mfactl enroll alice --phone +17891234567\n  mfactl enroll alice --totp --qr\n  mfactl enroll alice --hotp --secret-file secret --serial 12345678",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if email != "" || phone != "" || app || token.wanted {
					return exitError{code: exitUsage, err: errors.New("--email, --phone, --totp and --hotp are for another user"), hint: "Give the user, or leave them out."}
				}
				return c.converse(cmd, wire.PostSelf.For(wire.SelfEnroll))
			}
			if email == "" && phone == "" && !app && !token.wanted {
				return exitError{code: exitUsage, err: errors.New("nothing to enroll"), hint: "Give an address or a number, or --totp or --hotp: --email alice@example.com, --phone +17891234567."}
			}
			in, err := token.read(cmd)
			if err != nil {
				return err
			}
			if err := c.enroll(cmd, args[0], email, phone, silent); err != nil {
				return err
			}
			if app {
				if err := c.enrollApp(cmd, args[0], drawn); err != nil {
					return err
				}
			}
			if token.wanted {
				return c.enrollToken(cmd, args[0], in, drawn)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&app, "totp", false, "set up a new authenticator app")
	cmd.Flags().BoolVar(&drawn, "qr", false, "draw the key of a new app as a QR code, too")
	token.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("qr", "secret-file") // who has the secret needs no drawing
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
	if st, err := c.status(cmd.Context()); err == nil && st.SMS == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "mfactl: text messages have no provider, so no code goes to the number yet: set provider under [sms] in mfa.toml.")
	}
}

// enrollApp sets up an app for another user and shows what it needs; drawn, if that is asked
// for.
func (c *client) enrollApp(cmd *cobra.Command, user string, drawn bool) error {
	var out wire.NewApp
	if err := c.call(cmd.Context(), wire.PostApp.For(user), nil, &out); err != nil {
		return err
	}
	printApp(cmd, out, drawn)
	warnOfReplaced(cmd, out)
	return nil
}

// warnOfReplaced says that something else counts no more, where it is so.
func warnOfReplaced(cmd *cobra.Command, app wire.NewApp) {
	if app.Replaces {
		printf(cmd.ErrOrStderr(), "What %s had in its place before no longer counts.\n", app.User)
	}
}

// printApp shows what is handed over to the user of a new app. A drawing is for those alone
// who asked for it: a screen reader reads each block of it.
func printApp(cmd *cobra.Command, app wire.NewApp, drawn bool) {
	printf(cmd.OutOrStdout(), "For %s:\n\n", app.User)
	printLines(cmd.OutOrStdout(), app.Text)
	switch {
	case app.QR == "":
	case drawn:
		printLines(cmd.OutOrStdout(), "\n"+app.QR)
	default:
		printf(cmd.ErrOrStderr(), "\nTo draw it, run this again with --qr: that makes another key, and this one no longer counts.\n")
	}
}
