package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/host/file"
	"mfa/internal/mfa"
)

// auditOptions are the flags of audit.
type auditOptions struct {
	file, user, event, since string
	follow, json             bool
}

func auditCommand(c *client) *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show what happened: logins, wrong codes, changes",
		Long: "Show the audit file: a line for every decision that let somebody in or kept\n" +
			"them out, and for every change of an enrollment.\n\n" +
			"With --since it goes back through files that log rotation put away.\n" +
			"With --follow it goes on with what happens from now on, across rotations.",
		Example: "  mfactl audit --follow\n" +
			"  mfactl audit --user alice --since 7d\n" +
			"  mfactl audit --event 'lockout.*' --since '2026-11-01 08:00'\n" +
			"  mfactl audit --event login --since 1d --json | jq -r .outcome | sort | uniq -c",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := o.filter(time.Now())
			if err != nil {
				return err
			}
			path, err := o.path(cmd.Context(), c)
			if err != nil {
				return err
			}
			return showAudit(cmd, path, f, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.follow, "follow", false, "go on with what happens from now on, until Ctrl-C")
	flags.StringVar(&o.user, "user", "", "only what is about this `USER`")
	flags.StringVar(&o.event, "event", "", "only events of this `NAME`, such as login or 'lockout.*'")
	flags.StringVar(&o.since, "since", "", "only from this `TIME` on: 90m, 7d, 2026-11-01, '2026-11-01 08:00'")
	flags.StringVar(&o.file, "file", "", "read this `PATH` in place of the file of mfad")
	jsonFlag(cmd, &o.json)
	return cmd
}

// path returns the file to read: as told, or the daemon's.
func (o auditOptions) path(ctx context.Context, c *client) (string, error) {
	if o.file != "" {
		return o.file, nil
	}
	st, err := c.status(ctx)
	if e, ok := errors.AsType[exitError](err); ok && e.code == exitUnreachable {
		e.hint = "Name the file to read it all the same: mfactl audit --file /var/log/mfa/audit.jsonl"
		return "", e
	}
	if err == nil && st.Audit == "" {
		err = exitError{
			code: exitNotFound, err: errors.New("no audit file is kept: audit.file is empty in mfa.toml"),
			hint: "The log has the events: journalctl -u mfad MFA_EVENT=login",
		}
	}
	return st.Audit, err
}

// An auditFilter says which events to show.
type auditFilter struct {
	user, event string
	since       time.Time
}

func (o auditOptions) filter(now time.Time) (auditFilter, error) {
	f := auditFilter{user: o.user, event: o.event}
	if _, err := path.Match(o.event, ""); err != nil {
		return f, exitError{code: exitUsage, err: fmt.Errorf("bad pattern %q for --event", o.event), hint: "* stands for any letters: --event 'enrollment.*'."}
	}
	var err error
	f.since, err = moment(o.since, now)
	return f, err
}

// moment reads a time, or how long ago it is. The empty text is the zero time.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	var ago mfa.Duration
	if err := ago.UnmarshalText([]byte(text)); err == nil && ago >= 0 {
		return now.Add(-time.Duration(ago)), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, exitError{
		code: exitUsage, err: fmt.Errorf("bad time %q for --since", text),
		hint: "Give how long ago (90m, 7d) or when (2026-11-01, '2026-11-01 08:00').",
	}
}

func (f auditFilter) match(ev mfa.Event) bool {
	if f.user != "" && ev.User != f.user || ev.Time.Before(f.since) {
		return false
	}
	ok, err := path.Match(f.event, ev.Event)
	return f.event == "" || ok && err == nil
}

// showAudit prints what there is and, if told so, what comes. Lines that are no
// events are counted and told at the end.
func showAudit(cmd *cobra.Command, path string, f auditFilter, o auditOptions) error {
	p := auditPrinter{filter: f, out: cmd.OutOrStdout(), json: o.json, color: colorOn(cmd.OutOrStdout())}
	if !f.since.IsZero() {
		for _, old := range file.Rotated(path, f.since) {
			if err := file.ReadWhole(old, p.line); err != nil {
				return auditFault(err)
			}
		}
	}
	in, err := file.OpenTail(path)
	if err != nil {
		return auditFault(err)
	}
	defer in.Close()
	if o.follow && f.since.IsZero() {
		err = in.Skip()
	} else {
		err = in.Read(p.line)
	}
	if err == nil && o.follow {
		err = in.Follow(cmd.Context(), p.line)
	}
	switch {
	case err != nil:
		return auditFault(err)
	case p.bad > 0:
		return exitError{code: exitFailed, err: fmt.Errorf("%q has lines that are no events: %d", path, p.bad), hint: "The disk may have been full when they were written."}
	}
	return nil
}

// auditFault gives an error of the file its exit code.
func auditFault(err error) error {
	e := exitError{code: exitFailed, err: fmt.Errorf("read the audit file: %w", err)}
	switch {
	case errors.Is(err, errStdout):
		e.err = err
	case errors.Is(err, fs.ErrNotExist):
		e.code, e.hint = exitNotFound, "It is made when mfad starts."
	case errors.Is(err, fs.ErrPermission):
		e.code, e.hint = exitNotAllowed, "Try it as root, for example with sudo."
	}
	return e
}

// errStdout is wrapped by errors of our own output.
var errStdout = errors.New("print")

// An auditPrinter prints the lines that match, for people or as they are.
type auditPrinter struct {
	filter auditFilter
	out    io.Writer
	json   bool
	color  bool
	bad    int // lines that are no events
}

// line prints one line of the file, if it matches.
func (p *auditPrinter) line(text string) error {
	var ev mfa.Event
	if err := json.Unmarshal([]byte(text), &ev); err != nil || ev.Event == "" {
		p.bad++
		return nil
	}
	if !p.filter.match(ev) {
		return nil
	}
	text = visibleJSON(strings.TrimSuffix(text, "\n"))
	if !p.json {
		text = readable(ev, p.color)
	}
	if _, err := fmt.Fprintln(p.out, text); err != nil {
		return fmt.Errorf("%w: %w", errStdout, err)
	}
	return nil
}

// readable is an event for people: when, what, who, from where, how, and why.
func readable(ev mfa.Event, color bool) string {
	words := []string{ev.Time.Local().Format(time.DateTime), fmt.Sprintf("%-20s", printable(ev.Event))}
	add := func(before, text string) {
		if text != "" {
			words = append(words, before+printable(text))
		}
	}
	add("", ev.User)
	add("", ev.Service)
	if ev.Address != "" {
		add("from ", ev.Address)
	}
	add("by ", ev.Method)
	add("to ", ev.To)
	if ev.Outcome != "" {
		words = append(words, paint(color, outcomeColor(ev.Outcome), printable(ev.Outcome)))
	}
	add("by ", ev.Actor)
	if ev.Reason != "" {
		words = append(words, "("+printable(ev.Reason)+")")
	}
	return strings.Join(words, "  ")
}

func outcomeColor(outcome string) string {
	switch outcome {
	case mfa.Accepted.String(), mfa.Exempt.String():
		return green
	case mfa.Unavailable.String(), mfa.Broken.String():
		return red
	}
	return yellow
}
