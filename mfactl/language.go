package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mfa/internal/text"
	"mfa/internal/wire"
)

func languageCommand(c *client) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "language CODE",
		Short: "Say in which language prompts and messages are",
		Long: "Say in which language your prompts, mails and text messages are: en, de, ja, or\n" +
			"default for that of prompt.language. Administrators say it for others with --user.",
		Example: "  mfactl language de\n  mfactl language default --user alice",
		Args:    cobra.MatchAll(cobra.ExactArgs(1), speakable), // before a code is asked for
		RunE: func(cmd *cobra.Command, args []string) error {
			if user == "" {
				if err := c.converse(cmd, wire.PostSelf.For(wire.SelfLanguage).With(wire.QueryLanguage, args[0])); err != nil {
					return err
				}
				printf(cmd.OutOrStderr(), "The language of your prompts and messages is %s now.\n", args[0])
				return nil
			}
			var out wire.User
			if err := c.call(cmd.Context(), wire.PutLanguage.For(user), wire.Language{Language: args[0]}, &out); err != nil {
				return err
			}
			printf(cmd.OutOrStdout(), "The language of %s is %s now.\n", out.User, args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "that of this `USER`, for administrators")
	return cmd
}

// speakable wants a language that prompts can be in.
func speakable(_ *cobra.Command, args []string) error {
	if tag := args[0]; tag == "" || tag != wire.DefaultLanguage && !text.Speaks(tag) {
		return fmt.Errorf("unknown language %q: one of %s", tag, strings.Join(languages(), ", "))
	}
	return nil
}

// languages are what the verb takes.
func languages() []string {
	return append([]string{"en"}, append(text.Languages(), wire.DefaultLanguage)...)
}

// ttyName returns the terminal that answers are typed at, "" if there is none.
func ttyName() string {
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil || len(name) < len("/dev/") || name[:len("/dev/")] != "/dev/" {
		return ""
	}
	return name
}
