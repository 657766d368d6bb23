package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/host/logind"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

func sessionsCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List and revoke remembered logins",
		Long: "A remembered login lets logins from one place in without a second factor for\n" +
			"a while. It is no login that runs: see --end-logins.",
		Example: "  mfactl sessions list\n  mfactl sessions revoke alice",
		Args:    noVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sessionsListCommand(c), sessionsRevokeCommand(c))
	return cmd
}

func sessionsListCommand(c *client) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:     "list [USER | --all]",
		Short:   "Show the remembered logins of a user, or of everybody",
		Long:    "Without USER, root sees the remembered logins of everybody, and others their own.",
		Example: "  mfactl sessions list\n  mfactl sessions list alice --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := allOrUser(all, args); err != nil {
				return err
			}
			from := wire.ListSessions.For()
			if !all && (len(args) > 0 || os.Geteuid() != 0) {
				name, err := userOrSelf(cmd.Context(), args)
				if err != nil {
					return err
				}
				from = wire.ListUserSessions.For(name)
			}
			var out wire.Sessions
			err := c.read(cmd.Context(), from, nil, &out)
			switch {
			case err != nil:
				return err
			case asJSON:
				err = printJSON(cmd.OutOrStdout(), out)
			default:
				err = printSessions(cmd.OutOrStdout(), out.Sessions)
			}
			if err == nil && len(out.Unreadable) > 0 {
				err = unreadable(out.Unreadable)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of everybody")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func allOrUser(all bool, args []string) error {
	if all && len(args) > 0 {
		return exitError{code: exitUsage, err: errors.New("--all is for everybody, USER for one"), hint: "Give one of them."}
	}
	return nil
}

// userOrSelf returns the user that args name, or the user of mfactl's uid.
func userOrSelf(ctx context.Context, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	id, err := nss.LookupUID(ctx, uint32(os.Getuid()))
	if err != nil {
		return "", exitError{code: exitFailed, err: fmt.Errorf("look up who you are: %w", err)}
	}
	return id.Name, nil
}

func unreadable(users []string) error {
	return exitError{
		code: exitFailed,
		err:  fmt.Errorf("records that cannot be read or written: %s", strings.Join(users, ", ")),
		hint: "The log of mfad says why.",
	}
}

func printSessions(w io.Writer, all []wire.Session) error {
	if len(all) == 0 {
		fmt.Fprintln(w, "No login is remembered.")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USER\tSESSION\tSERVICE\tFROM\tKEY\tLAST USED\tGOOD UNTIL")
	for _, s := range all {
		until := s.Expires.Local().Format(time.DateTime)
		if s.Ended != "" {
			until = "ended: " + s.Ended
		}
		printf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.User, s.ID, s.Service, s.Address, shortKey(s.Key),
			s.LastUsed.Local().Format(time.DateTime), until)
	}
	if err := t.Flush(); err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("print: %w", err)}
	}
	return nil
}

// shortKey keeps lines short; --json has the whole fingerprint.
func shortKey(key string) string {
	const enough = len("SHA256:") + 12
	switch {
	case key == "":
		return "none"
	case key == mfa.Any || len(key) <= enough:
		return key
	}
	return key[:enough] + "..."
}

func sessionsRevokeCommand(c *client) *cobra.Command {
	var all, yes, endLogins bool
	cmd := &cobra.Command{
		Use:   "revoke [USER [SESSION] | --all]",
		Short: "End remembered logins, so that the second factor is asked for again",
		Long: "Without USER, your own. Logins that run already go on, unless --end-logins ends\n" +
			"them: all of the user's that systemd-logind knows, but the one you type this in.",
		Example: "  mfactl sessions revoke alice\n  mfactl sessions revoke alice k4w2mzq7xd\n" +
			"  mfactl sessions revoke alice --end-logins\n  mfactl sessions revoke --all",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkRevoke(args, all, endLogins); err != nil {
				return err
			}
			if all && !yes && !confirm(cmd, questionAll(endLogins)) {
				return exitError{code: exitFailed, err: errors.New("nothing was changed"), hint: "Answer y, or give --yes."}
			}
			if !all && len(args) == 0 {
				name, err := userOrSelf(cmd.Context(), nil)
				if err != nil {
					return err
				}
				args = []string{name}
			}
			out, err := c.revoke(cmd, args)
			if !endLogins || len(args) > 0 && err != nil {
				return err
			}
			return errors.Join(err, endRunning(cmd, args, out.UID))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of everybody")
	cmd.Flags().BoolVar(&endLogins, "end-logins", false, "end the logins that run, too")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func checkRevoke(args []string, all, endLogins bool) error {
	if endLogins && len(args) == 2 {
		return exitError{
			code: exitUsage, err: errors.New("--end-logins is for all logins of a user, not for one session"),
			hint: "Leave the session out, or --end-logins.",
		}
	}
	return allOrUser(all, args)
}

func questionAll(endLogins bool) string {
	if endLogins {
		return "Revoke the remembered logins of everybody, and end all logins that run? [y/N] "
	}
	return "Revoke the remembered logins of everybody? [y/N] "
}

// revoke ends the remembered logins of all users, of the user args[0], or the one
// session args[1] of that user.
func (c *client) revoke(cmd *cobra.Command, args []string) (out wire.Revocation, err error) {
	which := wire.DeleteSessions.For()
	switch len(args) {
	case 1:
		which = wire.DeleteUserSessions.For(args[0])
	case 2:
		which = wire.DeleteUserSession.For(args[0], args[1])
	}
	if err := c.call(cmd.Context(), which, nil, &out); err != nil {
		return out, err
	}
	printf(cmd.OutOrStdout(), "%s\n", revokedText(out, args))
	if len(out.Failed) > 0 {
		return out, unreadable(out.Failed)
	}
	return out, nil
}

func revokedText(out wire.Revocation, args []string) string {
	switch {
	case len(args) == 0:
		return fmt.Sprintf("%s of %s revoked.", count(out.Revoked, "session"), count(len(out.Users), "user"))
	case out.Revoked == 0:
		return fmt.Sprintf("No login of %s was remembered.", args[0])
	}
	return fmt.Sprintf("%s of %s revoked.", count(out.Revoked, "session"), args[0])
}

// count returns n and its noun, with an "s" unless n is 1.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// endRunning ends the running logins of the user args[0], whose uid is uid, or of all
// users where args is empty and uid is nil. The caller's own login goes on.
func endRunning(cmd *cobra.Command, args []string, uid *uint32) error {
	if (uid == nil) != (len(args) == 0) {
		return exitError{code: exitFailed, err: errors.New("no login was ended: mfad did not say whose"), hint: "Are mfactl and mfad of the same version?"}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), requestTimeout)
	defer cancel()
	l, err := logind.Dial(ctx)
	if err != nil {
		return exitError{
			code: exitFailed, err: fmt.Errorf("no login was ended: reach systemd-logind: %w", err),
			hint: "Without logind, end them by hand: loginctl, or pkill -KILL -u USER.",
		}
	}
	defer l.Close()
	ended, spared, err := l.End(ctx, uid)
	of := ""
	if uid != nil {
		of = " of " + args[0]
	}
	printf(cmd.OutOrStdout(), "%s%s ended.\n", count(ended, "login"), of)
	if spared {
		fmt.Fprintln(cmd.OutOrStdout(), "The login you type this in goes on.")
	}
	if err != nil {
		e := exitError{code: exitFailed, err: err}
		if logind.IsRefused(err) {
			e.code, e.hint = exitNotAllowed, "Try it as root, for example with sudo."
		}
		return e
	}
	return nil
}
