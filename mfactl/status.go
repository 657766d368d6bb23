package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/config"
	"mfa/internal/host"
	"mfa/internal/host/doctor"
	"mfa/internal/wire"
)

func statusCommand(c *client) *cobra.Command {
	var asJSON bool
	var path string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether mfad runs and is well",
		Long: "Say whether mfad runs and is well. Where it does not answer, and root asks, what\n" +
			"keeps it from starting is said too.",
		Example: "  mfactl status\n  mfactl status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := c.status(cmd.Context())
			if err != nil {
				return whyDown(cmd.Context(), err, path)
			}
			var fleet *wire.Fleet
			if st.Fixed["store.backend"] == "etcd" {
				f, err := c.fleet(cmd.Context())
				if err != nil {
					return err
				}
				fleet = &f
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), wholeStatus{st, fleet}); err != nil {
					return err
				}
			} else {
				printStatus(cmd, st, fleet)
			}
			switch {
			case st.StoreOK:
				return nil
			case st.StoreFull:
				return exitError{
					code: exitFailed, err: errors.New("the store has no room: " + st.Problem),
					hint: "Logins whose decision cannot be written are refused, and codes may not go out. What is written still counts.",
				}
			}
			return exitError{code: exitFailed, err: errors.New("the store cannot be used: " + st.Problem)}
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&path, "config", config.Path, "the configuration of mfad, a `FILE`, where it does not answer")
	return cmd
}

// A wholeStatus is the daemon's, with what it sees of its fleet; nil: it is in none.
type wholeStatus struct {
	wire.Status
	Fleet *wire.Fleet `json:"fleet,omitempty"`
}

// fleet asks the daemon what it sees of its fleet.
func (c *client) fleet(ctx context.Context) (wire.Fleet, error) {
	var f wire.Fleet
	err := c.read(ctx, wire.GetFleet.For(), nil, &f)
	return f, err
}

// whyDown adds to err, if it is that mfad cannot be reached, what keeps mfad from
// starting, as far as root can find out.
func whyDown(ctx context.Context, err error, path string) error {
	exit, ok := errors.AsType[exitError](err)
	if !ok || exit.code != exitUnreachable || os.Geteuid() != 0 {
		return err
	}
	if errors.Is(err, wire.ErrStuck) && running(ctx) {
		return err
	}
	cfg, problem := config.Load(path)
	if errors.Is(problem, fs.ErrNotExist) {
		return err
	}
	if problem == nil {
		problem = errors.Join(doctor.StateProblem(cfg, "/"), doctor.FilesProblem(cfg, path))
	}
	switch {
	case problem != nil:
		exit.hint = "It does not start: " + problem.Error() + "\n'mfactl doctor' says how to mend it."
	case errors.Is(err, wire.ErrStuck):
		exit.hint = "It does not run, and systemd holds its sockets. 'journalctl -u mfad' says why; then:\n" + doctor.StartAgain
	}
	return exit
}

// running reports whether mfad runs, as far as systemd knows: one that does not start is tried again
// and again, and its sockets take connections meanwhile.
func running(ctx context.Context) bool {
	if !host.IsSystemd() {
		return true
	}
	_, err := host.Run(ctx, "systemctl", "is-active", "--quiet", "mfad.service")
	return err == nil
}

func printStatus(cmd *cobra.Command, st wire.Status, fleet *wire.Fleet) {
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
		{"enrolled users", enrolledText(st)},
		{"logins under way", loginsText(st)},
	}
	if st.Offline != nil {
		rows = append(rows, [2]any{"without etcd", offlineText(*st.Offline)})
	}
	if st.Moving != "" {
		rows = append(rows, [2]any{"records move", st.Moving})
	}
	if fleet != nil {
		rows = append(rows, fleetRows(*fleet)...)
	}
	if st.AuditProblem != "" {
		rows = append(rows, [2]any{"audit file", st.AuditProblem})
	}
	if st.MetricsProblem != "" {
		rows = append(rows, [2]any{"metrics", st.MetricsProblem})
	}
	for _, key := range st.Restart {
		rows = append(rows, [2]any{"waits for a restart", key + ": systemctl restart mfad"})
	}
	printRows(cmd.OutOrStdout(), rows)
}

// loginsText says how many logins are under way, and how many there may be.
func loginsText(st wire.Status) string {
	if st.MaxLogins == 0 {
		return strconv.Itoa(st.Logins)
	}
	return fmt.Sprintf("%d of %d", st.Logins, st.MaxLogins)
}

// enrolledText says how many users are enrolled, if that could be found out.
func enrolledText(st wire.Status) string {
	if !st.StoreOK && st.Users == 0 {
		return "not counted"
	}
	return strconv.Itoa(st.Users)
}

// offlineText says for people how it stands with logins while etcd is away.
func offlineText(o wire.Offline) string {
	switch {
	case o.Old:
		return fmt.Sprintf("none of the %d users kept here, before etcd is reached", o.Kept)
	case o.Since == nil:
		return fmt.Sprintf("%d users kept here could log in", o.Kept)
	}
	return fmt.Sprintf("since %s, until %s, by the %d users kept here", o.Since.Local().Format(time.DateTime), o.Until.Local().Format(time.DateTime), o.Kept)
}

// fleetRows says how etcd is, how many hosts share it, and what is wrong with either.
func fleetRows(f wire.Fleet) (rows [][2]any) {
	var wrong [][2]any
	for _, found := range doctor.FleetFindings(f, time.Now()) {
		switch {
		case found.Severity != doctor.OK:
			wrong = append(wrong, [2]any{string(found.Severity), fmt.Sprintf("%s: %s. %s To mend it: %s", found.Where, found.What, found.Why, found.Mend)})
		default:
			rows = append(rows, [2]any{found.Where, found.What})
		}
	}
	return append(rows, wrong...)
}

// limit returns n as a text; 0 is "any number".
func limit(n int) string {
	if n == 0 {
		return "any number"
	}
	return strconv.Itoa(n)
}
