package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func sendTestCommand(c *client) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "send-test email|sms|call ADDRESS",
		Short: "Send a test message and show every step on its way",
		Long: "Send a test message over the carrier that mfa.toml configures: one attempt, with\n" +
			"every step from the name of the relay, gateway or proxy to its answer, over a\n" +
			"connection opened for it. A text message or a call costs what it costs. A call, and\n" +
			"a WhatsApp message, has the code 000000.",
		Example:   "  mfactl send-test email alice@example.com\n  mfactl send-test sms +17891234567 --json",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"email", "sms", "call"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var report wire.SendTestReport
			in := wire.SendTest{Method: mfa.Method(args[0]), To: args[1]}
			if err := c.call(cmd.Context(), wire.PostSendTest.For(), in, &report); err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), report); err != nil {
					return err
				}
			} else {
				printSteps(cmd.OutOrStdout(), report)
			}
			if !report.OK {
				return exitError{code: exitFailed, err: errors.New("not sent: " + report.Error), hint: report.Hint}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// printSteps prints a line a step, for people.
func printSteps(w io.Writer, report wire.SendTestReport) {
	width := 9
	for _, s := range report.Steps {
		width = max(width, len(s.Name))
	}
	for _, s := range report.Steps {
		printf(w, "%-*s  %s\n", width, s.Name, stepText(s))
	}
	if report.OK {
		printf(w, "The message for %s was taken. That is not yet the inbox: look there.\n", report.To)
	}
}

// stepText returns what a step found, whether it failed, and how long it took.
func stepText(s wire.Step) string {
	text := s.Detail
	if s.Err != "" && text != "" {
		text += ": "
	}
	if s.Err != "" {
		text += "failed: " + s.Err
	}
	if text == "" {
		text = "yes"
	}
	return fmt.Sprintf("%s   %d ms", text, s.Took.Round(time.Millisecond).Milliseconds())
}
