package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A userFilter says which users are meant. All that is set must hold.
type userFilter struct {
	locked, unconfirmed bool
	method              string
}

func (f userFilter) wants(v wire.User) bool {
	switch {
	case f.locked && !v.Locked,
		f.unconfirmed && !unconfirmed(v),
		f.method != "" && !slices.Contains(v.Methods, mfa.Method(f.method)):
		return false
	}
	return true
}

// unconfirmed reports whether there is an address or a number from which no code came
// back yet.
func unconfirmed(v wire.User) bool {
	return v.Email != "" && v.EmailConfirmed == nil || v.Phone != "" && v.PhoneConfirmed == nil
}

func usersCommand(c *client) *cobra.Command {
	var asJSON, asCSV, reveal bool
	var filter userFilter
	cmd := &cobra.Command{
		Use:   "users",
		Short: "List all users who are enrolled or locked",
		Long: "List all users who are enrolled or locked. With --json, a list of objects with\n" +
			"the keys that 'show --json' has; a user whose record cannot be read has the\n" +
			"key \"problem\", which says what is wrong. With --csv, a table for spreadsheets, which\n" +
			"'mfactl import csv' reads: a cell that would begin a formula, such as a phone number\n" +
			"with its plus, has an apostrophe before it.",
		Example: "  mfactl users\n  mfactl users --csv --reveal > users.csv\n  mfactl users --locked\n  mfactl users --unconfirmed --reveal\n  mfactl users --method totp --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if filter.method != "" && !slices.Contains(methodNames, filter.method) {
				return exitError{
					code: exitUsage, err: fmt.Errorf("unknown method %q", filter.method),
					hint: "The methods are " + strings.Join(methodNames, ", ") + ".",
				}
			}
			all, err := c.users(cmd, reveal)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(v wire.User) bool { return v.Problem == "" && !filter.wants(v) })
			switch {
			case asJSON:
				err = printJSON(cmd.OutOrStdout(), all)
			case asCSV:
				err = printCSV(cmd.OutOrStdout(), all)
			default:
				printUsers(cmd, all)
			}
			return errors.Join(err, broken(all))
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print a table of comma-separated values, for spreadsheets")
	cmd.MarkFlagsMutuallyExclusive("json", "csv")
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show addresses without masks")
	cmd.Flags().BoolVar(&filter.locked, "locked", false, "only users who are locked")
	cmd.Flags().BoolVar(&filter.unconfirmed, "unconfirmed", false, "only users with an address that is not confirmed")
	cmd.Flags().StringVar(&filter.method, "method", "", "only users who have this `METHOD`: "+strings.Join(methodNames, ", "))
	return cmd
}

// methodNames are the methods that a user can have.
var methodNames = []string{"totp", "hotp", "email", "sms", "backup"}

// users returns what mfad knows of all users, and shows how far it is meanwhile.
func (c *client) users(cmd *cobra.Command, reveal bool) ([]wire.User, error) {
	from := wire.ListUsers.For()
	if reveal {
		from = from.With(wire.QueryReveal, wire.Yes)
	}
	all := []wire.User{}
	m := &meter{}
	defer func() { m.end() }()
	begin := func(total int) { m = newMeter(cmd, "reading users", total) }
	err := stream(cmd.Context(), c, from, begin, func(v wire.User) error {
		m.step()
		all = append(all, v)
		return nil
	})
	return all, err
}

// broken is the error about records that cannot be read; nil if there are none.
func broken(all []wire.User) error {
	n, first := 0, ""
	for _, v := range all {
		if v.Problem != "" {
			if n++; n == 1 {
				first = v.Problem
			}
		}
	}
	if n == 0 {
		return nil
	}
	return exitError{code: exitFailed, err: fmt.Errorf("%s cannot be read: %s", counted(n, "record"), first)}
}

// counted returns n and its noun, with an "s" unless n is 1.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func printUsers(cmd *cobra.Command, all []wire.User) {
	g := newGrid("USER", "METHODS", "ADDRESS", "CONFIRMED", "FIRST", "LOCKED", "FAILURES")
	for _, v := range all {
		if v.Problem != "" {
			g.row(v.User, "cannot be read", "", "", "", "", "")
			continue
		}
		g.row(userCell(v), methodsCell(v), contactsCell(v), confirmedCell(v), string(v.Preferred), lockedCell(v), strconv.Itoa(v.Failures))
	}
	if g.empty() {
		fmt.Fprintln(cmd.OutOrStdout(), "No users.")
		return
	}
	g.print(cmd)
	if i := slices.IndexFunc(all, func(v wire.User) bool { return v.Canonical != "" }); i >= 0 {
		printf(cmd.OutOrStdout(), "\nA record under another name of an account does not count: mfactl reset %s clears it.\n", all[i].Canonical)
	}
}

// userCell is the name, and whose it is if the account has another.
func userCell(v wire.User) string {
	if v.Canonical == "" {
		return v.User
	}
	return fmt.Sprintf("%s (is %s)", v.User, v.Canonical)
}

func methodsCell(v wire.User) string {
	var names []string
	for _, m := range v.Methods {
		names = append(names, string(m))
	}
	switch {
	case v.Outdated:
		return "outdated"
	case v.Skipped != nil:
		return "none, by choice"
	case len(names) == 0:
		return "none"
	}
	return strings.Join(names, ",")
}

// contactsCell is where codes go.
func contactsCell(v wire.User) string {
	var cells []string
	for _, c := range []struct {
		method mfa.Method
		to     string
	}{{mfa.Email, v.Email}, {mfa.SMS, v.Phone}} {
		if c.to == "" {
			continue
		}
		if d := fromDirectory(v, c.method); d != nil {
			c.to += fmt.Sprintf(" (%s, %s)", d.Source, ago(d.At))
		}
		cells = append(cells, c.to)
	}
	return strings.Join(cells, ", ")
}

func confirmedCell(v wire.User) string {
	switch {
	case v.Email == "" && v.Phone == "":
		return ""
	case unconfirmed(v):
		return "no"
	}
	return "yes"
}

func lockedCell(v wire.User) string {
	switch {
	case v.Locked && v.LockedUntil != nil:
		return "until " + v.LockedUntil.Local().Format(time.DateTime)
	case v.Locked:
		return "until unlocked"
	}
	return "no"
}
