// Package house holds the tests that are about the house and no one room: which
// room may import which, and what the README promises.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// floors are the rooms from the top of the house to its ground. An arrow goes
// down, never up and never to a room on the same floor.
var floors = [][]string{
	{"mfad", "mfactl", "pam_mfa", "e2e"},
	{"internal/app", "internal/host"},
	{"internal/config", "internal/server"},
	{"internal/login", "internal/enroll"},
	{"internal/challenge", "internal/metrics"},
	{"internal/account"},
	{"internal/account/record"},
	{"internal/factor", "internal/deliver", "internal/store", "internal/audit"},
	{"internal/host/nss", "internal/factor/otp", "internal/seal", "internal/wire"},
	{"internal/host/file", "internal/mfa"},
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

func TestArrowsRunOneWay(t *testing.T) {
	arrows := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		from, room := floorOf(dir)
		if strings.HasPrefix(dir, "packaging/") {
			return nil // the demo, a program of its own
		}
		if from < 0 {
			t.Errorf("%s: a room the house does not know", path)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			name := strings.Trim(imp.Path.Value, `"`)
			if name == "os/user" && !strings.HasSuffix(dir, "test") {
				t.Errorf("%s: os/user takes a directory that is down for one that knows nobody; internal/host/nss does not", path)
			}
			target, ours := strings.CutPrefix(name, "mfa/")
			if !ours {
				continue
			}
			arrows++
			to, toRoom := floorOf(target)
			if toRoom == room {
				continue // within a room
			}
			if to <= from {
				t.Errorf("%s: %s may not import %s", path, room, toRoom)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if arrows < 20 {
		t.Errorf("only %d arrows were looked at: is the house where the test looks?", arrows)
	}
}
