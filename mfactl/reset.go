package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func resetCommand(c *client) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset USER",
		Short: "Clear a user's enrollment, failures, lock and codes",
		Long: "Clear all that is known of one user: enrollment, failures, lock and codes under\n" +
			"way. Where policy requires a second factor the user must be enrolled anew.",
		Example: "  mfactl reset alice\n  mfactl reset alice --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !confirm(cmd, fmt.Sprintf("Clear the enrollment of %s? [y/N] ", args[0])) {
				return exitError{code: exitFailed, err: errors.New("nothing was changed"), hint: "Answer y, or give --yes."}
			}
			var out struct {
				User string `json:"user"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, userPath(args[0], "/reset"), nil, &out); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is reset.\n", out.User)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// confirm asks on a terminal; elsewhere, scripts say --yes, and nobody is asked.
func confirm(cmd *cobra.Command, question string) bool {
	if in, ok := cmd.InOrStdin().(*os.File); ok {
		if !term.IsTerminal(int(in.Fd())) {
			return false
		}
	}
	fmt.Fprint(cmd.OutOrStdout(), question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(line), "y")
}
