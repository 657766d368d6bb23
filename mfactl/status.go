package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/server"
)

func statusCommand(c *client) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Say whether mfad runs and is well",
		Example: "  mfactl status\n  mfactl status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var st server.Status
			if err := c.call(cmd.Context(), http.MethodGet, "/v1/status", nil, &st); err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), st); err != nil {
					return err
				}
			} else {
				printStatus(cmd, st)
			}
			if !st.StoreOK {
				return exitError{code: exitFailed, err: errors.New("the store cannot be used: " + st.Problem)}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printStatus(cmd *cobra.Command, st server.Status) {
	store := "ok"
	if !st.StoreOK {
		store = st.Problem
	}
	texts := "none"
	if st.SMS != "" {
		texts = fmt.Sprintf("%s; %d sent within the hour, of %s", st.SMS, st.Texts, limit(st.MaxTexts))
	}
	rows := [][2]any{
		{"version", st.Version},
		{"process", st.PID},
		{"running since", st.Started.Local().Format(time.DateTime)},
		{"policy", st.Mode},
		{"email", st.Email},
		{"text messages", texts},
		{"store", st.Store},
		{"store health", store},
		{"enrolled users", st.Users},
		{"logins under way", st.Logins},
	}
	for _, key := range st.Restart {
		rows = append(rows, [2]any{"waits for a restart", key + ": systemctl restart mfad"})
	}
	printRows(cmd.OutOrStdout(), rows)
}

// limit says how many may be; 0 is any number.
func limit(n int) string {
	if n == 0 {
		return "any number"
	}
	return strconv.Itoa(n)
}
