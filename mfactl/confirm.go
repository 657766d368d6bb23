package main

import (
	"context"
	"errors"
	"net/http"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func confirmCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Look after addresses that wait for their confirmation",
		Long: "An address that an administrator entered is confirmed by the first code that\n" +
			"is sent there at a login and typed back. A message tells the user so.",
		Example: "  mfactl confirm resend alice\n  mfactl users --unconfirmed",
		Args:    noVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(resendCommand(c))
	return cmd
}

func resendCommand(c *client) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "resend USER|--all",
		Short: "Send the message about an address to confirm once more",
		Long: "Tell users once more that their next login confirms the address that was entered\n" +
			"for them: one user, or all whose address is not confirmed. Users who were told within\n" +
			"the last five minutes are left in peace.",
		Example: "  mfactl confirm resend alice\n  mfactl confirm resend --all",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOrAll(args, all); err != nil {
				return err
			}
			if !all {
				return c.resendOne(cmd, args[0])
			}
			users, err := c.users(cmd, false)
			if err != nil {
				return err
			}
			var names []string
			for _, v := range users {
				if v.Problem == "" && unconfirmed(v) && !v.Outdated {
					names = append(names, v.User)
				}
			}
			return errors.Join((&bulk{what: "sending", done: "told"}).run(cmd, names, func(ctx context.Context, user string) error {
				_, err := c.resend(ctx, user)
				if exit, ok := errors.AsType[exitError](err); ok &&
					(exit.status == http.StatusConflict || exit.status == http.StatusTooManyRequests) {
					return errSkip // confirmed meanwhile, or told a moment ago
				}
				return err
			}), broken(users))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all users whose address is not confirmed")
	return cmd
}

func (c *client) resendOne(cmd *cobra.Command, user string) error {
	out, err := c.resend(cmd.Context(), user)
	if err != nil {
		return err
	}
	text := "A message was sent to %s.\n"
	if out.UnderWay {
		text = "A message to %s is on its way, but the mail server has not taken it yet; the log of mfad tells how it ends.\n"
	}
	printf(cmd.OutOrStdout(), text, out.To)
	return nil
}

func (c *client) resend(ctx context.Context, user string) (wire.Resent, error) {
	var out wire.Resent
	err := c.call(ctx, wire.PostResend.For(user), nil, &out)
	return out, err
}

// oneOrAll refuses both, and neither.
func oneOrAll(args []string, all bool) error {
	if all == (len(args) == 1) {
		return exitError{code: exitUsage, err: errors.New("give one user, or --all"), hint: "Try 'mfactl help'."}
	}
	return nil
}
