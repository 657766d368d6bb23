package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mfa/internal/config"
	"mfa/internal/host/doctor"
	"mfa/internal/wire"
)

func doctorCommand(c *client) *cobra.Command {
	var asJSON bool
	var root, path string
	cmd := &cobra.Command{
		Use:   "doctor [SERVICE...]",
		Short: "Say what a login really goes through, what is wrong, and how to mend it",
		Long: "Look at what PAM, sshd, mfad and this machine will really do with a login. Nothing\n" +
			"is changed and nothing is sent. With SERVICE only the stacks of those services are\n" +
			"looked at, else the usual ones and all that ask for a second factor.\n\n" +
			"It fails if there is an error; warnings are no failure. Needs root.",
		Example: "  mfactl doctor\n  mfactl doctor sshd sudo\n  mfactl doctor --json\n  mfactl doctor --root /mnt/image",
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := hostAt(c, root, path)
			if err != nil {
				return err
			}
			r := doctor.Examine(cmd.Context(), h, args)
			if err := cmd.Context().Err(); err != nil {
				return exitError{code: exitFailed, err: errors.New("interrupted")}
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), r); err != nil {
					return err
				}
			} else {
				printReport(cmd.OutOrStdout(), r)
			}
			if r.Worst() == doctor.Error {
				return exitError{code: exitFailed, err: fmt.Errorf("%d of what was looked at would fail", r.Count(doctor.Error))}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&root, "root", "/", "look at the machine whose root folder is `DIR`")
	cmd.Flags().StringVar(&path, "config", config.Path, "the configuration of mfad, a `FILE` below the root folder")
	return cmd
}

// hostAt returns the machine whose root folder is root.
func hostAt(c *client, root, path string) (doctor.Host, error) {
	if os.Geteuid() != 0 {
		return doctor.Host{}, exitError{
			code: exitNotAllowed, err: errors.New("doctor reads files that only root may read"),
			hint: "Try it as root, for example with sudo.",
		}
	}
	h, err := doctor.HostAt(root, path)
	if err != nil {
		return h, exitError{code: exitFailed, err: err}
	}
	if h.Root == "/" {
		h.Status = c.status
		h.Directory = func(ctx context.Context) (wire.Directory, error) {
			var d wire.Directory
			err := c.call(ctx, wire.GetDirectory.For(), nil, &d)
			return d, err
		}
		h.Fleet = c.fleet
		h.Users = func(ctx context.Context, fn func(wire.User)) error {
			return stream(ctx, c, wire.ListUsers.For(), func(int) {}, func(v wire.User) error {
				fn(v)
				return nil
			})
		}
	}
	return h, nil
}

// printReport prints a report for people.
func printReport(w io.Writer, r doctor.Report) {
	paint := painter(w)
	if len(r.Logins) > 0 {
		fmt.Fprintln(w, "What a login goes through")
		width := 0
		for _, l := range r.Logins {
			width = max(width, len(l.Service))
		}
		for _, l := range r.Logins {
			printf(w, "  %-*s  %s\n", width, l.Service, l.Goes)
		}
		fmt.Fprintln(w)
	}
	for _, f := range r.Findings {
		fmt.Fprint(w, paint(f.Severity, fmt.Sprintf("%-7s", f.Severity)))
		printf(w, "  %s: %s\n", f.Where, f.What)
		if f.Severity == doctor.OK && f.Mend == "" {
			continue
		}
		if f.Why != "" {
			printf(w, "         %s\n", f.Why)
		}
		if f.Mend != "" {
			printf(w, "         To mend it: %s\n", f.Mend)
		}
	}
	printf(w, "\n%d errors, %d warnings, %d ok\n", r.Count(doctor.Error), r.Count(doctor.Warning), r.Count(doctor.OK))
}

// painter colours a text by its severity, on a terminal whose user wants colour
// (https://no-color.org).
func painter(w io.Writer) func(doctor.Severity, string) string {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return func(_ doctor.Severity, text string) string { return text }
	}
	colours := map[doctor.Severity]string{doctor.OK: "32", doctor.Warning: "33", doctor.Error: "31"}
	return func(s doctor.Severity, text string) string { return "\x1b[" + colours[s] + "m" + text + "\x1b[0m" }
}
