package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// room makes a module whose one room has a decision that is held by a test and one that
// is not, and goes there.
func room(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	for path, text := range map[string]string{
		"go.mod": "module tried\n\ngo 1.26\n",
		"x/x.go": `package x

func Held(n int) bool {
	if n > 1 && n < 9 {
		return true
	}
	return false
}

func Loose(n int) int {
	if m := n; m == 7 {
		n++
	} else if m == 8 {
		n--
	}
	return n
}
`,
		"x/x_test.go": "package x\n\nimport \"testing\"\n\nfunc TestHeld(t *testing.T) {\n\tif !Held(3) || Loose(9) < 0 {\n\t\tt.Fail()\n\t}\n}\n",
		"y/y_test.go": "package y\n\nimport (\n\t\"testing\"\n\n\t\"tried/x\"\n)\n\nfunc TestLoose(t *testing.T) {\n\tif x.Loose(7) != 8 || x.Loose(8) != 7 {\n\t\tt.Fail()\n\t}\n}\n",
		"may":         "# why\nx/x.go | m == 8 | made up\n",
		"gone":        "x/x.go | n > 1 && n < 9 | made up\n",
	} {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(folder)
}

func TestSurvivors(t *testing.T) {
	room(t)
	var said strings.Builder
	err := run(t.Context(), &said, options{may: "may"}, []string{"x"})
	want := "x/x.go:11: SURVIVED: if m == 7\nx/x.go:13: may survive: made up\n3 mutants, 1 survived that may, 1 that may not\n"
	if err == nil || said.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, said.String(), want)
	}
	said.Reset()
	if err := run(t.Context(), &said, options{may: "gone"}, []string{"x"}); err == nil || !strings.Contains(said.String(), "x/x.go | n > 1 && n < 9 does not survive") {
		t.Errorf("%v\n%s", err, said.String())
	}
	if text, err := os.ReadFile("x/x.go"); err != nil || strings.Contains(string(text), "!(") {
		t.Errorf("the tree was touched: %v\n%s", err, text)
	}
}

// What the tests of a room let by may be held by those of another that is built on it; and what
// survived is tried again alone.
func TestAlso(t *testing.T) {
	room(t)
	var said strings.Builder
	err := run(t.Context(), &said, options{also: []string{"y"}}, []string{"x"})
	want := "x/x.go:11: held by y\nx/x.go:13: held by y\n3 mutants, 0 survived that may, 0 that may not\n"
	if err != nil || said.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, said.String(), want)
	}
	earlier := "x/x.go:99: SURVIVED: if m == 7\nx/x.go:13: may survive: made up\n"
	if err := os.WriteFile("earlier", []byte(earlier), 0o644); err != nil {
		t.Fatal(err)
	}
	said.Reset()
	err = run(t.Context(), &said, options{again: "earlier"}, []string{"x"})
	want = "x/x.go:11: SURVIVED: if m == 7\n1 mutants, 0 survived that may, 1 that may not\n"
	if err == nil || said.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, said.String(), want)
	}
}
