package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

func lockCommand(c *client) *cobra.Command {
	var length string
	cmd := &cobra.Command{
		Use:   "lock USER",
		Short: "Refuse a user's second factor, until unlocked or for a time",
		Long: "Refuse a user's second factor on every service, until 'mfactl unlock' or for the\n" +
			"time given. No recovery code ends it. Logins that run go on.",
		Example: "  mfactl lock alice\n  mfactl lock alice --for 2h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var in wire.LockRequest
			if cmd.Flags().Changed("for") {
				if err := in.For.UnmarshalText([]byte(length)); err != nil || in.For == mfa.Duration(0) {
					return exitError{code: exitUsage, err: errors.New("--for wants a duration like 30m, 2h or 7d")}
				}
			}
			var out wire.Lock
			if err := c.call(cmd.Context(), wire.PostLock.For(args[0]), in, &out); err != nil {
				return err
			}
			until := "unlocked"
			if out.Until != nil {
				until = out.Until.Local().Format(time.DateTime)
			}
			printf(cmd.OutOrStdout(), "%s is locked until %s; 'mfactl unlock %s' ends it.\n", out.User, until, out.User)
			return nil
		},
	}
	cmd.Flags().StringVar(&length, "for", "", "how long: 30m, 2h, 7d; without it, until unlocked")
	return cmd
}
