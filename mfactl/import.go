package main

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mfa/internal/host/foreign"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

func importCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Take over apps from another program, tokens from a list, or addresses from a table",
		Long: "Take over authenticator apps from another program. Users keep their apps: the\n" +
			"codes go on working, used ones stay used, and scratch codes become backup codes.\n" +
			"Or give users the tokens of a list, as their maker hands it out (pskc), or enter\n" +
			"the addresses and numbers of many users from a table (csv).\n\n" +
			"Without --yes it only shows what would happen. What is set up already stays, unless\n" +
			"--replace is given.",
		Example: "  mfactl import google-authenticator\n  mfactl import oath --yes\n  mfactl import pskc tokens.xml\n  mfactl import csv people.csv",
		Args:    noVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(importGoogleCommand(c), importOathCommand(c), importPSKCCommand(c), importCSVCommand(c))
	return cmd
}

func importGoogleCommand(c *client) *cobra.Command {
	im := &importer{client: c, source: "google-authenticator", what: "app"}
	cmd := &cobra.Command{
		Use:   "google-authenticator [FILE...]",
		Short: "Take over from google-authenticator",
		Long: "Take over from google-authenticator: from the file " + foreign.GoogleFile + " in the\n" +
			"home of every user, or from the files named. A file is its owner's; one that\n" +
			"belongs to root is that of the user it is named after.\n\n" +
			"A file must be readable by its owner alone, and no link is followed.",
		Example: "  mfactl import google-authenticator\n  mfactl import google-authenticator --yes\n" +
			"  mfactl import google-authenticator /home/alice/" + foreign.GoogleFile,
		RunE: func(cmd *cobra.Command, files []string) error {
			found, err := foreign.FindGoogle(cmd.Context(), files)
			if err != nil {
				return exitError{code: exitFailed, err: err}
			}
			if len(found) == 0 {
				return exitError{
					code: exitNotFound, err: errors.New("no user has a file " + foreign.GoogleFile),
					hint: "Name the files, if they are elsewhere or getent passwd does not list the users.",
				}
			}
			return im.run(cmd, found)
		},
	}
	im.flags(cmd)
	return cmd
}

func importOathCommand(c *client) *cobra.Command {
	im := &importer{client: c, source: "oath-toolkit", what: "app"}
	cmd := &cobra.Command{
		Use:     "oath [FILE]",
		Short:   "Take over from oath-toolkit",
		Long:    "Take over from oath-toolkit: from " + foreign.OathFile + ", or from the file named.\nIt must be root's (or yours) and readable by its owner alone.",
		Example: "  mfactl import oath\n  mfactl import oath /etc/users.oath --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			path := foreign.OathFile
			if len(files) > 0 {
				path = files[0]
			}
			found, err := foreign.FindOath(cmd.Context(), path)
			if err != nil {
				return exitError{code: exitOf(err), err: err}
			}
			return im.run(cmd, found)
		},
	}
	im.flags(cmd)
	return cmd
}

// An importer hands the users that were found to mfad.
type importer struct {
	client       *client
	source       string
	what         string // is imported: "app" or "token"
	yes, replace bool
}

func (im *importer) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&im.yes, "yes", false, "do it; without, only show what would happen")
	cmd.Flags().BoolVar(&im.replace, "replace", false, "also in the place of "+im.what+"s that are set up already")
}

// run imports all users, or in a dry run shows what mfad would do with each.
func (im *importer) run(cmd *cobra.Command, all []foreign.Found) error {
	g := newGrid("USER", "FROM", strings.ToUpper(im.what), "CODES", "RESULT")
	var taken, kept int
	var failed []error
	m := newMeter(cmd, "importing", len(all))
	defer m.end()
	for _, f := range all {
		if cmd.Context().Err() != nil {
			break
		}
		out, err := im.one(cmd.Context(), f)
		if exit, ok := errors.AsType[exitError](err); ok && (exit.code == exitUnreachable || exit.code == exitNotAllowed) {
			return err
		}
		switch {
		case err != nil:
			failed = append(failed, err)
		case out.App == wire.ImportedKept || out.App == wire.ImportedUnchanged:
			kept++
		default:
			taken++
		}
		g.row(im.cells(f, out, err)...)
		m.step()
	}
	m.end()
	g.print(cmd)
	if slices.ContainsFunc(all, func(f foreign.Found) bool { return f.Err == nil && f.App.Counts() }) {
		im.client.warnOfNoTokens(cmd)
	}
	return im.summary(cmd, taken, kept, failed)
}

// one hands f to mfad.
func (im *importer) one(ctx context.Context, f foreign.Found) (wire.Imported, error) {
	if f.Err != nil {
		return wire.Imported{}, f.Err
	}
	in := wire.Import{
		UID: f.UID, Source: im.source, LastStep: f.App.LastStep, BackupCodes: f.App.Scratch,
		Replace: im.replace, DryRun: !im.yes,
	}
	if f.App.Counts() {
		in.LastStep, in.HOTP = 0, &wire.NewToken{
			Secret: base32.StdEncoding.EncodeToString(f.App.Secret), Digits: f.App.Params.Digits, Algorithm: f.App.Params.Algorithm,
			Count: f.App.Count, Serial: f.App.Serial,
		}
		return im.token(ctx, f, in)
	}
	in.TOTP.Secret = base32.StdEncoding.EncodeToString(f.App.Secret)
	in.TOTP.Digits, in.TOTP.Algorithm = f.App.Params.Digits, f.App.Params.Algorithm
	in.TOTP.Period = mfa.Duration(f.App.Params.Period)
	var out wire.Imported
	err := im.client.call(ctx, wire.PostImport.For(f.User), in, &out)
	return out, err
}

// token hands over a token that counts: to its user, or to wait for one.
func (im *importer) token(ctx context.Context, f foreign.Found, in wire.Import) (out wire.Imported, err error) {
	if f.User != "" {
		err = im.client.call(ctx, wire.PostImport.For(f.User), in, &out)
		return out, err
	}
	waits := wire.ShelfToken{NewToken: *in.HOTP, Replace: im.replace, DryRun: !im.yes}
	err = im.client.call(ctx, wire.PutToken.For(f.App.Serial), waits, &out)
	return out, err
}

// cells is the row of the table.
func (im *importer) cells(f foreign.Found, out wire.Imported, err error) []string {
	if err != nil {
		return []string{f.User, f.From, "", "", "cannot be imported: " + err.Error()}
	}
	would := "is"
	if !im.yes {
		would = "would be"
	}
	kind := "app"
	if f.App.Counts() {
		kind = "token"
	}
	result := map[string]string{
		wire.ImportedNew:       would + " set up",
		wire.ImportedReplaced:  would + " set up in place of another " + kind,
		wire.ImportedUnchanged: "set up already",
		wire.ImportedKept:      "stays out: another " + kind + " is set up (see --replace)",
	}[out.App]
	if f.User == "" {
		result = waiting(would, out)
	}
	notes := f.App.Notes
	if out.Codes == wire.ImportedKept && out.App != wire.ImportedKept && out.App != wire.ImportedUnchanged {
		notes = append(notes, "the backup codes that are set up stay")
	}
	if len(notes) > 0 {
		result += "; " + strings.Join(notes, "; ")
	}
	app := fmt.Sprintf("%d digits, %v", f.App.Params.Digits, mfa.Duration(f.App.Params.Period))
	if f.App.Counts() {
		app = fmt.Sprintf("%d digits, counts from %d", f.App.Params.Digits, f.App.Count)
	}
	return []string{f.User, f.From, app, strconv.Itoa(len(f.App.Scratch)), result}
}

// waiting says what becomes of a token that is nobody's.
func waiting(would string, out wire.Imported) string {
	switch {
	case out.App == wire.ImportedUnchanged:
		return "waits for its user already"
	case out.App == wire.ImportedKept && out.User != "":
		return "stays out: " + out.User + " took it (see --replace)"
	case out.App == wire.ImportedKept:
		return "stays out: another token of this number waits (see --replace)"
	}
	return would + " kept until its user says the number on it"
}

// summary prints how many were taken and kept, and returns an error for those that failed.
func (im *importer) summary(cmd *cobra.Command, taken, kept int, failed []error) error {
	text := counted(taken, im.what) + " imported"
	if !im.yes {
		text = counted(taken, im.what) + " would be imported"
	}
	printf(cmd.OutOrStdout(), "%s, %d left as they are, %d cannot be.\n", text, kept, len(failed))
	switch {
	case cmd.Context().Err() != nil:
		return exitError{code: exitFailed, err: errors.New("interrupted")}
	case !im.yes:
		fmt.Fprintln(cmd.OutOrStdout(), "Nothing was changed: give --yes to import.")
	}
	isThere := func(err error) bool { return exitOf(err) != exitNotFound }
	code := exitFailed
	switch {
	case len(failed) == 0:
		return nil
	case taken+kept == 0 && !slices.ContainsFunc(failed, isThere):
		code = exitNotFound
	case !im.yes:
		return nil // it showed what would fail, as was asked for
	}
	return exitError{code: code, err: fmt.Errorf("%s cannot be imported", counted(len(failed), im.what))}
}
