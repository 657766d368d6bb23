package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mfa/internal/host/trylogin"
)

func testCommand() *cobra.Command {
	var l trylogin.Login
	cmd := &cobra.Command{
		Use:   "test USER --service SERVICE",
		Short: "Try a user's login in this terminal, through the real PAM stack",
		Long: "Go through the PAM stack of a service as a login of USER would, here in the\n" +
			"terminal, and say what each PAM call returned. Nothing is simulated: codes are\n" +
			"sent, and wrong answers count. No session is opened.\n\n" +
			"What a program does beside PAM is not tried: sshd's keys and AllowUsers, sudo's\n" +
			"rules. Exit code 0: the login would be let in; 1: it would not.",
		Example: "  mfactl test alice --service sshd\n  mfactl test alice --service sshd --rhost 203.0.113.7\n" +
			"  mfactl test alice --service sshd --pam-dir /root/pam.d.new",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l.User = args[0]
			return tryLogin(cmd, l)
		},
	}
	cmd.Flags().StringVar(&l.Service, "service", "", "the PAM service, as in /etc/pam.d: sshd, sudo, su")
	cmd.Flags().StringVar(&l.RHost, "rhost", "", "where the login seems to come from, an `ADDRESS`; empty: here")
	cmd.Flags().StringVar(&l.Dir, "pam-dir", "", "take the stack from this `FOLDER`, not from /etc/pam.d")
	if err := cmd.MarkFlagRequired("service"); err != nil {
		panic(err) // the flag is there
	}
	return cmd
}

// tryLogin tries l in the terminal and prints each step. The error carries the exit
// code.
func tryLogin(cmd *cobra.Command, l trylogin.Login) error {
	if l.Service == "" || strings.ContainsAny(l.Service, "/\x00") {
		return exitError{code: exitUsage, err: fmt.Errorf("no PAM service is called %q", l.Service)}
	}
	if file, there := l.File(); !there {
		printf(cmd.ErrOrStderr(), "mfactl: there is no %s: libpam goes by the service \"other\"\n", file)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "mfactl: not root: modules may refuse what they would let sshd do")
	}
	l.Person = newTerminal(cmd)
	end, err := l.Try(cmd.Context(), func(s trylogin.Step) { printf(cmd.OutOrStdout(), "%s\n", s) })
	if end == trylogin.ChangeFirst {
		fmt.Fprintln(cmd.OutOrStdout(), "The login would go on once the password is changed.")
	}
	if err == nil && end == trylogin.Refused {
		err = fmt.Errorf("%s would not be let in", l.User)
	}
	if err != nil {
		return exitError{code: exitFailed, err: err}
	}
	printf(cmd.OutOrStdout(), "%s would be let in.\n", l.User)
	return nil
}
