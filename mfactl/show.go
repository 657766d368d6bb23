package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func showCommand(c *client) *cobra.Command {
	var asJSON, reveal bool
	cmd := &cobra.Command{
		Use:     "show USER",
		Short:   "Show a user's enrollment and state; anybody may see their own",
		Example: "  mfactl show alice\n  mfactl show alice --reveal\n  mfactl show alice --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v wire.User
			from := wire.GetUser.For(args[0])
			if reveal {
				from = from.With(wire.QueryReveal, wire.Yes)
			}
			if err := c.read(cmd.Context(), from, nil, &v); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			printRows(cmd.OutOrStdout(), viewRows(v, v.Phone != "" && c.lacksTexts(cmd.Context(), v)))
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show addresses without masks")
	return cmd
}

// lacksTexts reports whether text messages have no provider, as far as the caller may ask:
// root, and who was shown another user. To ask in vain is an event of the audit file.
func (c *client) lacksTexts(ctx context.Context, v wire.User) bool {
	if uid := os.Geteuid(); uid != 0 && uint32(uid) == v.UID {
		return false
	}
	st, err := c.status(ctx)
	return err == nil && st.SMS == ""
}

// viewRows is the table of a user; lacksTexts: no code goes to a phone.
func viewRows(v wire.User, lacksTexts bool) [][2]any {
	rows := append([][2]any{{"user", v.User}, {"uid", v.UID}}, methodRows(v, lacksTexts)...)
	if v.Skipped != nil {
		rows = append(rows, [2]any{"no second factor", "by the user's choice, since " + v.Skipped.Local().Format(time.DateTime)})
	}
	if v.Outdated {
		rows = append(rows, [2]any{"outdated", "yes: enrolls anew, because policy.mode was off"})
	}
	for _, m := range v.Disabled {
		rows = append(rows, [2]any{"disabled", string(m) + ", after 100 wrong codes in a row, until set up anew"})
	}
	if v.MustChangePassword {
		rows = append(rows, [2]any{"password", "the next login demands that it is changed"})
	}
	rows = append(rows, apartRows(v)...)
	if len(v.Ahead) > 0 {
		rows = append(rows, [2]any{"from the future", strings.Join(v.Ahead, ", ") +
			": the clock was wrong, then or now; 'mfactl unlock " + v.User + "' ends it"})
	}
	return append(rows,
		[2]any{"locked", lockText(v)},
		[2]any{"recent failures", v.Failures},
		[2]any{"codes under way", v.PendingCodes},
		[2]any{"codes sent lately", v.CodesSent},
	)
}

// lockText returns whether a user is locked, until when, by whom, and what ends it.
func lockText(v wire.User) string {
	locked := "no"
	switch {
	case v.Locked && v.LockedUntil != nil:
		locked = "until " + v.LockedUntil.Local().Format(time.DateTime) + "; 'mfactl unlock " + v.User + "' ends it"
	case v.Locked:
		locked = "until unlocked; 'mfactl unlock " + v.User + "' ends it"
	}
	switch {
	case v.LockedBy != "":
		locked += " (by " + v.LockedBy + ")"
	case v.Recoverable:
		locked += ", or the recovery code that was mailed"
	}
	return locked
}

// methodRows are the rows of what a user has set up; lacksTexts: no code goes to a phone.
func methodRows(v wire.User, lacksTexts bool) (rows [][2]any) {
	if v.Email != "" {
		rows = append(rows, [2]any{"email", v.Email}, [2]any{"confirmed", confirmedBy(v, mfa.Email, v.EmailConfirmed)})
	}
	if v.Phone != "" {
		since := confirmedBy(v, mfa.SMS, v.PhoneConfirmed)
		switch {
		case lacksTexts && v.PhoneConfirmed == nil && fromDirectory(v, mfa.SMS) == nil:
			since = "not yet: text messages have no provider, so no code goes there"
		case lacksTexts:
			since += "; text messages have no provider, so no code goes there"
		}
		rows = append(rows, [2]any{"phone", v.Phone}, [2]any{"phone confirmed", since})
	}
	rows = append(rows, directoryRows(v.Directory, v.DirectoryProblem)...)
	if v.TOTP != nil {
		since := "since " + v.TOTP.Local().Format(time.DateTime)
		if v.TOTPUnconfirmed {
			since = "not confirmed yet: the next login does"
		}
		rows = append(rows, [2]any{"authenticator app", since})
	}
	rows = append(rows, tokenRows(v.HOTP)...)
	switch {
	case v.BackupVoid:
		rows = append(rows, [2]any{"backup codes left", "0, all are void since there was a newer set; " + v.User + " makes new ones with 'mfactl backup-codes'"})
	case v.BackupLeft != nil:
		rows = append(rows, [2]any{"backup codes left", *v.BackupLeft})
	}
	if v.Preferred != "" {
		rows = append(rows, [2]any{"asked for first", v.Preferred})
	}
	if v.Language != "" {
		rows = append(rows, [2]any{"language", v.Language})
	}
	return rows
}

// tokenRows are the rows of a token that counts.
func tokenRows(t *wire.Token) (rows [][2]any) {
	if t == nil {
		return nil
	}
	since := "not confirmed yet: the next login does"
	if t.Confirmed != nil {
		since = "since " + t.Confirmed.Local().Format(time.DateTime)
	}
	rows = append(rows, [2]any{"token", since})
	if t.Serial != "" {
		rows = append(rows, [2]any{"number on it", t.Serial})
	}
	if t.Void {
		return append(rows, [2]any{"next code", "not known any more, so none is good: ask for two codes in a row, and 'mfactl enroll USER --hotp --codes CODE,NEXT'"})
	}
	return append(rows, [2]any{"next code", t.Next})
}

// apartRows are the rows of what is counted apart, for programs that are not root.
func apartRows(v wire.User) (rows [][2]any) {
	if a := v.Apart; a != nil && a.Locked {
		apart := "until unlocked"
		if a.LockedUntil != nil {
			apart = "until " + a.LockedUntil.Local().Format(time.DateTime)
		}
		rows = append(rows, [2]any{"locked apart", apart + ", for programs that are not root (screen locks, mfactl); logins are not"})
	} else if a != nil && a.Failures > 0 {
		rows = append(rows, [2]any{"failures apart", fmt.Sprintf("%d, in what programs that are not root asked", a.Failures)})
	}
	return rows
}

// directoryRows say what the directory has of a user, whether it counts, and how old that
// is. Problem is why it cannot be asked now.
func directoryRows(all []wire.DirectoryContact, problem string) (rows [][2]any) {
	for _, d := range all {
		text := fmt.Sprintf("%s %s (%s, looked up %s)", d.Method, d.Address, d.Source, ago(d.At))
		if !d.Counts {
			text += ": not where codes go"
		}
		rows = append(rows, [2]any{"from the directory", text})
	}
	if problem != "" {
		rows = append(rows, [2]any{"directory", problem})
	}
	return rows
}

// ago says how long ago something was.
func ago(at time.Time) string {
	if age := time.Since(at); age > time.Minute {
		return mfa.Span(age) + " ago"
	}
	return "just now"
}

// fromDirectory returns the source of the address to which codes of a method go by what a
// directory says; nil: they do not.
func fromDirectory(v wire.User, m mfa.Method) *wire.DirectoryContact {
	for i, d := range v.Directory {
		if d.Method == m && d.Counts {
			return &v.Directory[i]
		}
	}
	return nil
}

// confirmedBy is confirmed for the address of a method, which may be a directory's.
func confirmedBy(v wire.User, m mfa.Method, at *time.Time) string {
	if d := fromDirectory(v, m); d != nil {
		return "by the directory (" + d.Source + ")"
	}
	return confirmed(at)
}

// confirmed says when a code sent to an address was first typed back.
func confirmed(at *time.Time) string {
	if at == nil {
		return "not yet: the next login confirms it"
	}
	return at.Local().Format(time.DateTime)
}
