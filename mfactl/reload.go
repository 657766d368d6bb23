package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func reloadCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have mfad take mfa.toml as it is now, and say what came of it",
		Long: "Have mfad take mfa.toml as it is now, for the logins that begin from now on. If it is\n" +
			"refused, the one before counts and this fails and says why. Keys that only a restart\n" +
			"changes are named. \"systemctl reload mfad\" does the same.",
		Example: "  mfactl reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out wire.Reloaded
			err := c.call(cmd.Context(), wire.PostReload.For(), nil, &out)
			if exit, ok := errors.AsType[exitError](err); ok && exit.status == http.StatusConflict {
				return hinted(fmt.Errorf("mfa.toml is refused, and the one before counts: %w", err), "Mend it, then try again.")
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "mfa.toml is taken.")
			if out.Policy != "" {
				printf(cmd.OutOrStdout(), "%s.\n", strings.ToUpper(out.Policy[:1])+out.Policy[1:])
			}
			for _, key := range out.Restart {
				printf(cmd.OutOrStdout(), "%s waits for a restart: systemctl restart mfad\n", key)
			}
			return nil
		},
	}
}
