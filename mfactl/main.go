// Mfactl administers mfad over its control socket. See mfactl(1).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Exit codes, fixed for scripts.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotAllowed  = 4
	exitUnreachable = 5
)

// An exitError ends the program with a code. The hint says what to do.
type exitError struct {
	code   int
	err    error
	hint   string
	status int // of HTTP, if that is what mfad answered
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	out, printed := checked(stdout)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if lost := printed(); err == nil && lost != nil {
		err = exitError{code: exitFailed, err: fmt.Errorf("print: %w", lost)}
	}
	if err == nil {
		return exitOK
	}
	printLines(stderr, "mfactl: "+err.Error())
	exit, ok := errors.AsType[exitError](err)
	if !ok {
		fmt.Fprintln(stderr, "Try 'mfactl help'.") // cobra's own errors are about usage
		return exitUsage
	}
	if exit.hint != "" {
		printLines(stderr, exit.hint)
	}
	return exit.code
}

// defaultSocket is server.control_socket as mfa.toml has it by default.
const defaultSocket = "/run/mfa/control.sock"

func newRoot() *cobra.Command {
	c := &client{daemon: wire.Client{Timeout: requestTimeout}, short: statusTimeout}
	root := &cobra.Command{
		Use:           "mfactl",
		Short:         "Administer the second factor of this machine's logins",
		Version:       mfa.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetHelpCommand(helpCommand(root))
	root.SetVersionTemplate("mfactl {{.Version}}\n")
	root.PersistentFlags().StringVar(&c.daemon.Socket, "socket", defaultSocket, "control socket of mfad")
	root.AddCommand(
		statusCommand(c),
		reloadCommand(c),
		enrollCommand(c),
		showCommand(c),
		lockCommand(c),
		unlockCommand(c),
		editCommand(c),
		resetCommand(c),
		preferCommand(c),
		languageCommand(c),
		optOutCommand(c),
		backupCodesCommand(c),
		sendTestCommand(c),
		explainCommand(c),
		auditCommand(c),
		sessionsCommand(c),
		doctorCommand(c),
		setupCommand(c),
		usersCommand(c),
		importCommand(c),
		confirmCommand(c),
		backupCommand(c),
		restoreCommand(c),
		testCommand(),
		keyCommand(c),
		migrateCommand(c),
	)
	complete(root)
	refuseOtherShells(root)
	return root
}

// noVerb refuses what is no verb, and says which ones may be meant.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	meant := cmd.SuggestionsFor(args[0])
	if len(meant) == 0 {
		return err
	}
	return exitError{code: exitUsage, err: err, hint: "Did you mean " + strings.Join(meant, " or ") + "?"}
}

// helpCommand is cobra's, but a verb that does not exist is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "Explain a verb",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return noVerb(root, []string{strings.Join(args, " ")})
			}
			cmd.InitDefaultHelpFlag() // to show them in the text
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
	}
}
