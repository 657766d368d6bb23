// Package house holds the tests that are about the house and no one room: which
// room may import which, and what the README promises.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floors are the rooms from the top of the house to its ground. An arrow goes
// down, never up and never to a room on the same floor.
var floors = [][]string{
	{"mfad", "mfactl", "pam_mfa", "e2e", "bench", "fuzz"},
	{"internal/app", "internal/host"},
	{"internal/config", "internal/server"},
	{"internal/login", "internal/enroll"},
	{"internal/challenge", "internal/metrics", "internal/account/contacts"},
	{"internal/account"},
	{"internal/account/record", "internal/deliver/spend", "internal/deliver/smtp", "internal/deliver/sms"},
	{"internal/deliver/carrier"},
	{"internal/deliver/mail"},
	{"internal/factor", "internal/deliver", "internal/store", "internal/audit"},
	{"internal/host/rights"},
	{"internal/text", "internal/host/nss", "internal/host/clock", "internal/factor/otp", "internal/seal", "internal/wire", "internal/store/local/wal"},
	{"internal/host/file", "internal/mfa", "internal/plot"},
}

// floorOf returns the floor of a folder and the room it belongs to: the innermost one.
func floorOf(dir string) (floor int, room string) {
	floor = -1
	for i, rooms := range floors {
		for _, r := range rooms {
			if (dir == r || strings.HasPrefix(dir, r+"/")) && len(r) > len(room) {
				floor, room = i, r
			}
		}
	}
	return floor, room
}

// A law names all rooms of ours that a room may import, beside itself: those, and what
// is beneath them.
type law struct {
	room  string
	may   []string
	tests []string // its tests, too
}

// laws are of rooms that stand apart from the daemon, whatever the floors would let
// them: the first that a folder is in counts. A program that talks to mfad has no need
// of the daemon's rooms, and what looks at a machine works where no daemon runs.
var laws = []law{
	{room: "internal/wire", may: []string{"internal/mfa"}},
	{room: "internal/text", may: []string{"internal/mfa"}},
	{
		room:  "mfactl",
		may:   []string{"internal/wire", "internal/host", "internal/config", "internal/text", "internal/mfa"},
		tests: []string{"internal/app", "internal/audit/audittest", "internal/deliver/delivertest"}, // a daemon of their own, and a relay
	},
	{room: "internal/host", may: []string{
		"internal/wire", "internal/config", "internal/mfa", "internal/factor/otp",
		"internal/account/record", "internal/store", "internal/seal", "internal/deliver", "internal/audit", "internal/text", // to look at what is on disk, and at the carriers
	}},
}

// within says whether a folder is one of rooms or beneath it.
func within(dir string, rooms ...string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return dir == r || strings.HasPrefix(dir, r+"/") })
}

// lawOf returns the law of a folder, nil if the floors are all there is.
func lawOf(dir string) *law {
	for i, l := range laws {
		if within(dir, l.room) {
			return &laws[i]
		}
	}
	return nil
}

// TestLaws holds rooms to what they may import, in tests too.
func TestLaws(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		l := lawOf(dir)
		if l == nil {
			return nil
		}
		used[l.room] = true
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		test := strings.HasSuffix(path, "_test.go")
		for _, imp := range f.Imports {
			target, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), "mfa/")
			if ours && !within(target, l.room) && !within(target, l.may...) && (!test || !within(target, l.tests...)) {
				t.Errorf("%s: %s may not import %s, but only %s", path, l.room, target, strings.Join(l.may, ", "))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range laws {
		if !used[l.room] {
			t.Errorf("%s has a law and no file", l.room)
		}
	}
}

// untidy are the imports of tests that break the law, with the reason why they stay.
var untidy = map[string]string{
	"internal/login internal/enroll": "a user enrolls within a login; the test's harness wires the real service, as app does",
}

// TestArrowsRunOneWay holds every import to the floors. A test may import what its room
// may, and packages for tests (storetest, audittest), which may not be imported by
// anything else.
func TestArrowsRunOneWay(t *testing.T) {
	arrows, used := 0, map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || path == filepath.Base(path) || strings.HasPrefix(path, "packaging/"):
			return nil // of the packages the demo and the tests are programs of their own
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		from, room := floorOf(dir)
		if from < 0 {
			t.Errorf("%s: a room the house does not know", path)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		forTests := strings.HasSuffix(path, "_test.go") || isForTests(dir) || room == "e2e"
		for _, imp := range f.Imports {
			name := strings.Trim(imp.Path.Value, `"`)
			if name == "os/user" && !forTests {
				t.Errorf("%s: os/user takes a directory that is down for one that knows nobody; internal/host/nss does not", path)
			}
			target, ours := strings.CutPrefix(name, "mfa/")
			if !ours {
				continue
			}
			arrows++
			to, toRoom := floorOf(target)
			switch {
			case isForTests(target) && !forTests:
				t.Errorf("%s: %s is for tests alone", path, target)
			case toRoom == room, isForTests(target):
			case to <= from && untidy[room+" "+toRoom] != "" && forTests:
				used[room+" "+toRoom] = true
			case to <= from:
				t.Errorf("%s: %s may not import %s", path, room, toRoom)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pair := range untidy {
		if !used[pair] {
			t.Errorf("%s is tidy now: take it off the list", pair)
		}
	}
	if arrows < 20 {
		t.Errorf("only %d arrows were looked at: is the house where the test looks?", arrows)
	}
}

// isForTests says whether a folder is a package that serves tests: its name ends so.
func isForTests(dir string) bool {
	return strings.HasSuffix(dir, "test") && strings.HasPrefix(dir, "internal/")
}

// docs/ARCHITECTURE.md has one sentence for each room, and names no room and no test that
// is not there.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "<!-- rooms:")
	table, _, _ = strings.Cut(table, "\n## ")
	said := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_/]+)` \\| .+ \\|$").FindAllStringSubmatch(table, -1) {
		said[m[1]]++
	}
	rooms, tests := map[string]bool{}, map[string]bool{}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if !strings.HasSuffix(path, "_test.go") && within(dir, "internal", "mfad", "mfactl", "pam_mfa", "bench") {
			rooms[dir] = true
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") {
				tests[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range rooms {
		if said[room] != 1 {
			t.Errorf("docs/ARCHITECTURE.md has %d sentences for %s", said[room], room)
		}
		delete(said, room)
	}
	for room := range said {
		t.Errorf("docs/ARCHITECTURE.md names a room that is not there: %s", room)
	}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1) {
		if !tests[name[1]] {
			t.Errorf("docs/ARCHITECTURE.md names a test that is not there: %s", name[1])
		}
	}
}

// TestMfactlLinksNoDaemon holds the command line to what it needs: what only the daemon
// speaks to is not linked into it, by whichever room it would come.
func TestMfactlLinksNoDaemon(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./mfactl").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.Lines(string(out)) {
		for _, daemons := range []string{"github.com/twilio/", "github.com/go-ldap/", "github.com/prometheus/", "mfa/internal/app", "mfa/internal/server", "mfa/internal/deliver/sms"} {
			if strings.HasPrefix(pkg, daemons) {
				t.Errorf("mfactl links %s", strings.TrimSpace(pkg))
			}
		}
	}
}
