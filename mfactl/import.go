package main

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/host/foreign"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

func importCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Take over authenticator apps from another program",
		Long: "Take over authenticator apps from another program. Users keep their apps: the\n" +
			"codes go on working, used ones stay used, and scratch codes become backup codes.\n\n" +
			"Without --yes it only shows what would happen. An app that is set up already\n" +
			"stays, unless --replace is given.",
		Example: "  mfactl import google-authenticator\n  mfactl import oath --yes",
		Args:    noVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(importGoogleCommand(c), importOathCommand(c))
	return cmd
}

func importGoogleCommand(c *client) *cobra.Command {
	im := &importer{client: c, source: "google-authenticator"}
	cmd := &cobra.Command{
		Use:   "google-authenticator [FILE...]",
		Short: "Take over from google-authenticator",
		Long: "Take over from google-authenticator: from the file " + googleFile + " in the\n" +
			"home of every user, or from the files named. A file is its owner's; one that\n" +
			"belongs to root is that of the user it is named after.\n\n" +
			"A file must be readable by its owner alone, and no link is followed.",
		Example: "  mfactl import google-authenticator\n  mfactl import google-authenticator --yes\n" +
			"  mfactl import google-authenticator /home/alice/" + googleFile,
		RunE: func(cmd *cobra.Command, files []string) error {
			found, err := googleFound(cmd.Context(), files)
			if err != nil {
				return exitError{code: exitFailed, err: err}
			}
			if len(found) == 0 {
				return exitError{
					code: exitNotFound, err: errors.New("no user has a file " + googleFile),
					hint: "Name the files, if they are elsewhere or getent passwd does not list the users.",
				}
			}
			return im.run(cmd, found)
		},
	}
	im.flags(cmd)
	return cmd
}

// oathFile is where pam_oath(8) suggests to keep it.
const oathFile = "/etc/oath/users.oath"

func importOathCommand(c *client) *cobra.Command {
	im := &importer{client: c, source: "oath-toolkit"}
	cmd := &cobra.Command{
		Use:     "oath [FILE]",
		Short:   "Take over from oath-toolkit",
		Long:    "Take over from oath-toolkit: from " + oathFile + ", or from the file named.\nIt must be root's (or yours) and readable by its owner alone.",
		Example: "  mfactl import oath\n  mfactl import oath /etc/users.oath --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			path := oathFile
			if len(files) > 0 {
				path = files[0]
			}
			found, err := oathFound(cmd.Context(), path)
			if err != nil {
				code := exitFailed
				if errors.Is(err, fs.ErrNotExist) {
					code = exitNotFound
				}
				return exitError{code: code, err: err}
			}
			return im.run(cmd, found)
		},
	}
	im.flags(cmd)
	return cmd
}

// A found is what one place says of one user.
type found struct {
	user string // empty: nobody knows whose it is
	uid  uint32
	from string
	app  foreign.App
	err  error // why it cannot be taken over
}

// googleFile is what google-authenticator(1) writes.
const googleFile = ".google_authenticator"

// googleFound reads the files named, or those in all homes.
func googleFound(ctx context.Context, files []string) ([]found, error) {
	var all []found
	for _, file := range files {
		all = append(all, namedGoogle(ctx, file))
	}
	if len(files) > 0 {
		return all, nil
	}
	accounts, err := people(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range accounts {
		home, err := filepath.EvalSymlinks(p.home) // up to the home the way is root's
		if err != nil {
			continue // no home
		}
		f := found{user: p.name, uid: p.uid, from: filepath.Join(home, googleFile)}
		file, err := readPrivate(f.from, func(uid uint32) bool { return uid == p.uid || uid == 0 })
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		all = append(all, f.parsed(file, err))
	}
	return all, nil
}

// namedGoogle reads one file, and finds out whose it is.
func namedGoogle(ctx context.Context, path string) found {
	f := found{from: path}
	file, err := readPrivate(path, func(uint32) bool { return true })
	if err != nil {
		return f.parsed(file, err)
	}
	id, err := nss.LookupUID(ctx, file.owner)
	if file.owner == 0 && filepath.Base(path) != googleFile {
		id, err = nss.Lookup(ctx, filepath.Base(path))
	}
	if err != nil {
		f.err = fmt.Errorf("whose it is: %w", err)
		return f
	}
	f.user, f.uid = id.Name, id.UID
	return f.parsed(file, err)
}

// parsed is f with what the file says.
func (f found) parsed(file privateFile, err error) found {
	if f.err = err; err == nil {
		f.app, f.err = foreign.GoogleAuthenticator(file.text)
	}
	return f
}

// oathFound reads a users.oath.
func oathFound(ctx context.Context, path string) ([]found, error) {
	file, err := readPrivateUpTo(math.MaxInt64-1, path, rootOrMe) // every user is in it
	if err != nil {
		return nil, err
	}
	var all []found
	for _, l := range foreign.Oath(file.text, time.Local) {
		f := found{user: l.User, from: fmt.Sprintf("%s:%d", path, l.Line), app: l.App, err: l.Err}
		if f.err == nil {
			var id mfa.Identity
			id, f.err = nss.Lookup(ctx, l.User)
			f.uid = id.UID
		}
		all = append(all, f)
	}
	return all, nil
}

// An importer takes over what was found.
type importer struct {
	client       *client
	source       string
	yes, replace bool
}

func (im *importer) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&im.yes, "yes", false, "do it; without, only show what would happen")
	cmd.Flags().BoolVar(&im.replace, "replace", false, "also in the place of apps that are set up already")
}

// run takes over all, or asks mfad what would become of each, and shows it.
func (im *importer) run(cmd *cobra.Command, all []found) error {
	g := newGrid("USER", "FROM", "APP", "CODES", "RESULT")
	var taken, kept, failed int
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
			failed++
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
	return im.summary(cmd, taken, kept, failed)
}

// one hands f to mfad.
func (im *importer) one(ctx context.Context, f found) (wire.Imported, error) {
	if f.err != nil {
		return wire.Imported{}, f.err
	}
	in := wire.Import{
		UID: f.uid, Source: im.source, LastStep: f.app.LastStep, BackupCodes: f.app.Scratch,
		Replace: im.replace, DryRun: !im.yes,
	}
	in.TOTP.Secret = base32.StdEncoding.EncodeToString(f.app.Secret)
	in.TOTP.Digits, in.TOTP.Algorithm = f.app.Params.Digits, f.app.Params.Algorithm
	in.TOTP.Period = mfa.Duration(f.app.Params.Period)
	var out wire.Imported
	err := im.client.call(ctx, http.MethodPost, userPath(f.user, "/import"), in, &out)
	return out, err
}

// cells is the row of the table.
func (im *importer) cells(f found, out wire.Imported, err error) []string {
	if err != nil {
		return []string{f.user, f.from, "", "", "cannot be imported: " + err.Error()}
	}
	would := "is"
	if !im.yes {
		would = "would be"
	}
	result := map[string]string{
		wire.ImportedNew:       would + " set up",
		wire.ImportedReplaced:  would + " set up in place of another app",
		wire.ImportedUnchanged: "set up already",
		wire.ImportedKept:      "stays out: another app is set up (see --replace)",
	}[out.App]
	notes := f.app.Notes
	if out.Codes == wire.ImportedKept && out.App != wire.ImportedKept && out.App != wire.ImportedUnchanged {
		notes = append(notes, "the backup codes that are set up stay")
	}
	if len(notes) > 0 {
		result += "; " + strings.Join(notes, "; ")
	}
	app := fmt.Sprintf("%d digits, %v", f.app.Params.Digits, mfa.Duration(f.app.Params.Period))
	return []string{f.user, f.from, app, strconv.Itoa(len(f.app.Scratch)), result}
}

func (im *importer) summary(cmd *cobra.Command, taken, kept, failed int) error {
	text := counted(taken, "app") + " imported"
	if !im.yes {
		text = counted(taken, "app") + " would be imported"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s, %d left as they are, %d cannot be.\n", text, kept, failed)
	switch {
	case cmd.Context().Err() != nil:
		return exitError{code: exitFailed, err: errors.New("interrupted")}
	case !im.yes:
		fmt.Fprintln(cmd.OutOrStdout(), "Nothing was changed: give --yes to import.")
	case failed > 0:
		return exitError{code: exitFailed, err: fmt.Errorf("%s cannot be imported", counted(failed, "app"))}
	}
	return nil
}
