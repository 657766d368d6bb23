package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mfa/internal/wire"
)

func preferCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use:       "prefer METHOD",
		Short:     "Say which of your methods is asked for first",
		Example:   "  mfactl prefer totp",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), preferable), // before a code is asked for
		ValidArgs: slices.Concat(methodNames, []string{"call"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.converse(cmd, wire.PostSelf.For(wire.SelfPrefer).With(wire.QueryMethod, args[0])); err != nil {
				return err
			}
			printf(cmd.OutOrStderr(), "You are asked for %s first from now on.\n", args[0])
			return nil
		},
	}
}

// preferable wants a method.
func preferable(_ *cobra.Command, args []string) error {
	if known := slices.Concat(methodNames, []string{"call"}); !slices.Contains(known, args[0]) {
		return fmt.Errorf("unknown method %q: one of %s", args[0], strings.Join(known, ", "))
	}
	return nil
}

func optOutCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use:     "opt-out",
		Short:   "Have no second factor, where policy leaves it to you",
		Example: "  mfactl opt-out",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.converse(cmd, wire.PostSelf.For(wire.SelfOptOut)); err != nil {
				return err
			}
			cmd.Println("You have no second factor and are not asked for one. To set one up: mfactl enroll")
			return nil
		},
	}
}

func backupCodesCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use:     "backup-codes",
		Short:   "Make new backup codes for yourself; the old ones are void at once",
		Example: "  mfactl backup-codes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.converse(cmd, wire.PostSelf.For(wire.SelfBackupCodes))
		},
	}
}
