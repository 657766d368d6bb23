package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"mfa/internal/wire"
)

func importCSVCommand(c *client) *cobra.Command {
	im := &listImporter{client: c}
	cmd := &cobra.Command{
		Use:   "csv FILE",
		Short: "Enter addresses and numbers of many users from a table",
		Long: "Enter where the codes of many users go, from a table of comma-separated values: the\n" +
			"first line names the columns user, and email or phone or both, in any order. Other\n" +
			"columns are left out, and a cell that is empty changes nothing. - reads from\n" +
			"standard input. Tables of spreadsheets are read as they save them, with semicolons\n" +
			"or tabs too, and what 'mfactl users --csv --reveal' prints.\n\n" +
			"Without --yes it only shows what would happen. If any line is wrong, all that are\n" +
			"wrong are named and nothing is changed. What is set up so already stays as it is,\n" +
			"so it can be run again. Another address or number that the user has confirmed stays,\n" +
			"unless --replace is given.\n\n" +
			"Users who had no second factor before are not told:\n" +
			"'mfactl confirm resend --all' tells them.",
		Example: "  mfactl import csv people.csv\n  mfactl import csv people.csv --yes\n  mfactl users --csv --reveal | mfactl import csv -",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return im.run(cmd, args[0]) },
	}
	cmd.Flags().BoolVar(&im.yes, "yes", false, "do it; without, only show what would happen")
	cmd.Flags().BoolVar(&im.replace, "replace", false, "also in the place of what users have confirmed")
	jsonFlag(cmd, &im.asJSON)
	return cmd
}

// A listImporter enters where the codes of many users go.
type listImporter struct {
	client       *client
	path         string
	yes, replace bool
	asJSON       bool
}

// maxSheet bounds a table, in bytes: a hundred times what ten thousand users take.
const maxSheet = 64 << 20

func (im *listImporter) run(cmd *cobra.Command, path string) error {
	im.path = path
	data, err := readAll(cmd, path)
	if err != nil {
		return err
	}
	s, err := readSheet(data)
	if err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("%s: %w", path, err)}
	}
	// Every line is looked at before the first is done.
	would, err := im.send(cmd, "checking", s.lines, true)
	if err != nil {
		return err
	}
	if faults := append(s.faults, wrongLines(s.lines, would)...); len(faults) > 0 {
		return im.refuse(cmd, faults)
	}
	set := would
	if im.yes {
		if set, err = im.do(cmd, s.lines, would); err != nil {
			return err
		}
	}
	if im.asJSON {
		return printJSON(cmd.OutOrStdout(), set)
	}
	im.show(cmd, s, set)
	return nil
}

// readAll returns what is in the file at path, or in standard input for "-".
func readAll(cmd *cobra.Command, path string) ([]byte, error) {
	from := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, exitError{code: exitOf(err), err: err}
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxSheet+1))
	switch {
	case err != nil:
		return nil, exitError{code: exitFailed, err: fmt.Errorf("read %s: %w", path, err)}
	case len(data) > maxSheet:
		return nil, exitError{code: exitFailed, err: fmt.Errorf("%s is larger than %d MiB: divide it", path, maxSheet>>20)}
	}
	return data, nil
}

// wrongLines returns what mfad has against lines, and which two mean one account.
func wrongLines(lines []sheetLine, would []wire.ContactSet) []sheetFault {
	var faults []sheetFault
	taken := map[string]int{}
	for i, l := range lines {
		name := would[i].User
		switch {
		case would[i].Error != "":
			faults = append(faults, sheetFault{l.line, would[i].Error})
		case taken[name] > 0:
			faults = append(faults, sheetFault{l.line, fmt.Sprintf("%q is %q, who is in line %d already", l.User, name, taken[name])})
		default:
			taken[name] = l.line
		}
	}
	return faults
}

// refuse names every fault.
func (im *listImporter) refuse(cmd *cobra.Command, faults []sheetFault) error {
	slices.SortStableFunc(faults, func(a, b sheetFault) int { return a.line - b.line })
	hint := ""
	for _, f := range faults {
		printf(cmd.ErrOrStderr(), "%s:%d: %s\n", im.path, f.line, f.why)
		if strings.Contains(f.why, "country code") || strings.Contains(f.why, "no letters") {
			hint = "Spreadsheets make sums of numbers: give the column of the numbers the format Text, and enter them anew."
		}
	}
	return exitError{code: exitFailed, err: fmt.Errorf("%s cannot be taken; nothing was changed", counted(len(faults), "line")), hint: hint}
}

// do sets what would change, and returns what became of all lines.
func (im *listImporter) do(cmd *cobra.Command, lines []sheetLine, would []wire.ContactSet) ([]wire.ContactSet, error) {
	var todo []sheetLine
	for i, l := range lines {
		if would[i].Changes() {
			todo = append(todo, l)
		}
	}
	done, err := im.send(cmd, "importing", todo, false)
	failed, n := []sheetFault{}, 0
	set := slices.Clone(would)
	for i, w := range would {
		if !w.Changes() {
			continue
		}
		switch d := done[n]; {
		case d.Error != "":
			failed = append(failed, sheetFault{todo[n].line, d.Error})
			set[i] = wire.ContactSet{User: d.User}
		default:
			set[i] = d
		}
		n++
	}
	for _, f := range failed {
		printf(cmd.ErrOrStderr(), "%s:%d: %s\n", im.path, f.line, f.why)
	}
	switch {
	case err != nil:
		const cut = "mfactl: it was cut short; %d of %d lines were done. Run it again: what is done stays as it is.\n"
		printf(cmd.ErrOrStderr(), cut, countDone(done), len(todo))
	case len(failed) > 0:
		err = exitError{
			code: exitFailed, err: fmt.Errorf("%s of %d failed, the others are done", counted(len(failed), "line"), len(todo)),
			hint: "Run it again: what is done stays as it is.",
		}
	}
	return set, err
}

// countDone counts what mfad has answered without an error.
func countDone(done []wire.ContactSet) (n int) {
	for _, d := range done {
		if d.User != "" && d.Error == "" {
			n++
		}
	}
	return n
}

// atOnce is how many requests are under way: writes that wait at the same time share the
// time that the disk takes.
const atOnce = 8

// send hands lines to mfad and returns what became of each. It shows how far it is. After
// an error nothing more is sent, and what was not done is the zero ContactSet.
func (im *listImporter) send(cmd *cobra.Command, what string, lines []sheetLine, dryRun bool) ([]wire.ContactSet, error) {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	m := newMeter(cmd, what, len(lines))
	defer m.end()
	set := make([]wire.ContactSet, len(lines))
	parts := make(chan [2]int)
	var mu sync.Mutex // guards m and set
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for part := range parts {
				out, err := im.part(ctx, lines[part[0]:part[1]], dryRun)
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				copy(set[part[0]:], out)
				for range out {
					m.step()
				}
				mu.Unlock()
			}
		})
	}
	for part := range partsOf(lines) {
		if ctx.Err() != nil {
			break
		}
		parts <- part
	}
	close(parts)
	workers.Wait()
	if cmd.Context().Err() != nil {
		return set, exitError{code: exitFailed, err: errors.New("interrupted")}
	}
	return set, context.Cause(ctx)
}

// maxPart bounds the lines of one request, in bytes of JSON; mfad takes twice as much.
const maxPart = 32 << 10

// partsOf yields where each request begins and ends.
func partsOf(lines []sheetLine) func(yield func([2]int) bool) {
	return func(yield func([2]int) bool) {
		from, size := 0, 0
		for i, l := range lines {
			text, _ := json.Marshal(l.ContactLine) // strings have no way to fail
			if i > from && (size+len(text) > maxPart || i-from == wire.MaxContactLines) {
				if !yield([2]int{from, i}) {
					return
				}
				from, size = i, 0
			}
			size += len(text) + 1
		}
		if from < len(lines) {
			yield([2]int{from, len(lines)})
		}
	}
}

// part hands some lines to mfad.
func (im *listImporter) part(ctx context.Context, lines []sheetLine, dryRun bool) ([]wire.ContactSet, error) {
	in := wire.Contacts{Replace: im.replace, DryRun: dryRun}
	for _, l := range lines {
		in.Lines = append(in.Lines, l.ContactLine)
	}
	var out wire.ContactsSet
	if err := im.client.call(ctx, wire.PostContacts.For(), in, &out); err != nil {
		return nil, err
	}
	if len(out.Lines) != len(lines) {
		return nil, exitError{code: exitFailed, err: fmt.Errorf("mfad answered %d lines of %d", len(out.Lines), len(lines))}
	}
	return out.Lines, nil
}

// show prints what became of the lines, or would: those that changed or were kept out,
// and the number of the others.
func (im *listImporter) show(cmd *cobra.Command, s sheet, set []wire.ContactSet) {
	g := newGrid("USER", "EMAIL", "PHONE", "RESULT")
	var changed, kept, same int
	phones := false
	for i, l := range s.lines {
		switch {
		case set[i].Changes():
			changed++
		case set[i].Email == wire.ImportedKept || set[i].Phone == wire.ImportedKept:
			kept++
		default:
			same++
			continue
		}
		phones = phones || l.Phone != ""
		g.row(set[i].User, l.Email, l.Phone, im.result(set[i]))
	}
	if !g.empty() {
		g.print(cmd)
	}
	if len(s.unread) > 0 {
		printf(cmd.ErrOrStderr(), "mfactl: columns that were left out: %s\n", strings.Join(s.unread, ", "))
	}
	text := counted(changed, "user") + " entered"
	if !im.yes {
		text = counted(changed, "user") + " would be entered"
	}
	printf(cmd.OutOrStdout(), "%s, %d kept as they are, %d set up so already.\n", text, kept, same)
	switch {
	case !im.yes:
		fmt.Fprintln(cmd.OutOrStdout(), "Nothing was changed: give --yes to import.")
	case changed > 0:
		fmt.Fprintln(cmd.OutOrStdout(), "Their next login confirms it; 'mfactl confirm resend --all' tells them so.")
	}
	if phones {
		im.client.warnOfNoProvider(cmd)
	}
}

// result says in words what became of a line, or would.
func (im *listImporter) result(c wire.ContactSet) string {
	would := "is"
	if !im.yes {
		would = "would be"
	}
	var words []string
	for _, way := range [...]struct{ what, result string }{{"address", c.Email}, {"number", c.Phone}} {
		switch way.result {
		case wire.ImportedNew:
			words = append(words, way.what+" "+would+" entered")
		case wire.ImportedReplaced:
			words = append(words, way.what+" "+would+" entered in place of another")
		case wire.ImportedKept:
			words = append(words, way.what+" stays out: another is confirmed (see --replace)")
		}
	}
	if c.Chosen {
		words = append(words, "had chosen to have no second factor")
	}
	return strings.Join(words, "; ")
}
