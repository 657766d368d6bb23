// Mutants breaks each "if" of a room, one at a time, and tells which no test of the room
// notices: its condition is turned around, and the room's tests are run.
//
//	mutants [-may FILE] [-also FOLDER,...] [-again FILE] FOLDER...
//
// What survives the tests of its room is tried with those of the folders of -also, too: rooms
// that are built on it. With -again only that is tried which survived in an earlier run, by
// what it printed.
//
// What to know before trusting it: the tree is not touched, go test sees the changed file
// through an overlay. A mutant that is killed says only that some test fails with it, not
// that the right one does; one that survives is a decision that nothing holds. The FILE of -may
// has the survivors that may be, on each line the file, the condition and why, with " | " between
// them; a line that is of no survivor is an error. The exit status is 1 if another survived.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// longest bounds the tests of a room: a mutant that goes round for ever is killed by it.
const longest = 2 * time.Minute

func main() {
	var o options
	flag.StringVar(&o.may, "may", "", "a file of survivors that may be")
	flag.StringVar(&o.again, "again", "", "what an earlier run printed: only its survivors are tried")
	also := flag.String("also", "", "folders, with a comma between them, whose tests a survivor is tried with, too")
	flag.Parse()
	o.also = strings.FieldsFunc(*also, func(r rune) bool { return r == ',' })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, o, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	may, again string // files
	also       []string
}

// A mutant is a file with one condition turned around.
type mutant struct {
	path string // of the file
	line int
	was  string // the condition
	text []byte // the file
}

// key names a mutant however lines move.
func (m mutant) key() string { return m.path + " | " + m.was }

// run tries the mutants of the rooms.
func run(ctx context.Context, to io.Writer, o options, folders []string) error {
	reasons, err := readMay(o.may)
	if err != nil {
		return err
	}
	among, err := readSurvivors(o.again)
	if err != nil {
		return err
	}
	for _, folder := range slices.Concat(folders, o.also) {
		if err := test(ctx, folder, nil); err != nil {
			return fmt.Errorf("the tests of %q fail without a mutant: %w", folder, err)
		}
	}
	t := tally{reasons: reasons, used: map[string]bool{}}
	for _, folder := range folders {
		all, err := mutantsOf(folder)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(m mutant) bool { return among != nil && !among[m.key()] })
		for _, m := range all {
			by, err := killer(ctx, m, folder, o.also)
			if err != nil {
				return err
			}
			t.add(to, m, folder, by)
		}
	}
	for key := range reasons {
		if among == nil && !t.used[key] && slices.ContainsFunc(folders, func(f string) bool { return strings.HasPrefix(key, filepath.Clean(f)+"/") }) {
			t.survived++
			fmt.Fprintf(to, "%s does not survive: delete its line\n", key)
		}
	}
	fmt.Fprintf(to, "%d mutants, %d survived that may, %d that may not\n", t.tried, len(t.used), t.survived)
	if t.survived > 0 {
		return errors.New("not every decision is held by a test")
	}
	return nil
}

// A tally counts what came of mutants.
type tally struct {
	tried, survived int
	reasons         map[string]string // why some may survive
	used            map[string]bool   // those of them that did
}

// add counts a mutant of a folder that the tests of by noticed, and prints what is to be known of it.
func (t *tally) add(to io.Writer, m mutant, folder, by string) {
	t.tried++
	why := t.reasons[m.key()]
	switch {
	case by == folder:
	case by != "":
		fmt.Fprintf(to, "%s:%d: held by %s\n", m.path, m.line, by)
	case why != "":
		t.used[m.key()] = true
		fmt.Fprintf(to, "%s:%d: may survive: %s\n", m.path, m.line, why)
	default:
		t.survived++
		fmt.Fprintf(to, "%s:%d%s%s\n", m.path, m.line, survives, m.was)
	}
}

// survives stands in the line of a survivor, between its place and its condition.
const survives = ": SURVIVED: if "

// killer returns the folder whose tests notice a mutant, its own first; "" if none do.
func killer(ctx context.Context, m mutant, own string, also []string) (string, error) {
	for _, folder := range slices.Insert(slices.Clone(also), 0, own) {
		if test(ctx, folder, &m) != nil {
			return folder, ctx.Err() // of a run that is ended all tests fail
		}
	}
	return "", nil
}

// readSurvivors returns the keys of what survived, by what a run printed; nil without a file.
func readSurvivors(path string) (map[string]bool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		place, was, found := strings.Cut(strings.TrimSpace(line), survives)
		if file, _, ok := strings.Cut(place, ":"); found && ok {
			keys[mutant{path: file, was: was}.key()] = true
		}
	}
	return keys, nil
}

// mutantsOf makes the mutants of the files of a folder that are no tests.
func mutantsOf(folder string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := mutate(path, text)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// mutate turns each condition of a file around.
func mutate(path string, text []byte) ([]mutant, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []mutant
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.IfStmt)
		if !ok {
			return true
		}
		from, to := set.Position(s.Cond.Pos()).Offset, set.Position(s.Cond.End()).Offset
		was := string(text[from:to])
		all = append(all, mutant{
			path: filepath.ToSlash(filepath.Clean(path)), line: set.Position(s.Cond.Pos()).Line, was: strings.Join(strings.Fields(was), " "),
			text: slices.Concat(text[:from], []byte("!("+was+")"), text[to:]),
		})
		return true
	})
	return all, nil
}

// test runs the tests of a folder with a mutant, or without.
func test(ctx context.Context, folder string, m *mutant) error {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout", longest.String()}
	if m != nil {
		overlay, err := overlayOf(m)
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(filepath.Dir(overlay)) }()
		args = append(args, "-overlay", overlay)
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "./"+folder)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// overlayOf writes a mutant down, and the file that has go test take it for the original.
func overlayOf(m *mutant) (string, error) {
	folder, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.path)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(folder, "mutant.go")
	data, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	return overlay, errors.Join(os.WriteFile(changed, m.text, 0o644), os.WriteFile(overlay, data, 0o644))
}

// readMay reads which mutants may survive, and why.
func readMay(path string) (map[string]string, error) {
	reasons := map[string]string{}
	if path == "" {
		return reasons, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " | ")
		if i < 0 || !strings.Contains(line[:i], " | ") {
			return nil, fmt.Errorf("%s:%d: not a file, a condition and a reason", path, n)
		}
		reasons[line[:i]] = line[i+3:]
	}
	return reasons, lines.Err()
}
