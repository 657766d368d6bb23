package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module is one with every way for a package to end.
var module = map[string]string{
	"go.mod":           "module m\n\ngo 1.21\n",
	"good/a_test.go":   "package good\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) { t.Log(\"chatter\"); t.Run(\"one\", func(t *testing.T) {}) }\n",
	"bad/a_test.go":    "package bad\n\nimport \"testing\"\n\nfunc TestFine(t *testing.T) {}\nfunc TestBad(t *testing.T) { t.Run(\"deep\", func(t *testing.T) { t.Error(\"the reason\") }); t.Run(\"well\", func(t *testing.T) {}) }\nfunc TestBad2(t *testing.T) { t.Log(\"so far\"); t.Error(\"another\"); t.Log(\"--- a log:\\nmuch\") }\n",
	"skips/a_test.go":  "package skips\n\nimport \"testing\"\n\nfunc TestSkips(t *testing.T) { t.Skip(\"no reason\") }\nfunc TestRuns(t *testing.T) {}\n",
	"panics/a_test.go": "package panics\n\nimport \"testing\"\n\nfunc TestPanics(t *testing.T) { panic(\"oh no\") }\n",
	"exits/a_test.go":  "package exits\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { println(\"no world\"); os.Exit(1) }\n",
	"broken/a_test.go": "package broken\n\nimport \"testing\"\n\nfunc TestBroken(t *testing.T) { undefined() }\n",
	"none/a.go":        "package none\n",
}

// parts runs parts in the module and returns what was said and the status.
func parts(t *testing.T, strict bool, args ...string) (string, int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range module {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	t.Setenv("CGO_ENABLED", "0")
	var out strings.Builder
	r := run{out: &out, strict: strict}
	r.all(context.Background(), args)
	status := r.sum()
	return out.String(), status
}

// expectEnd wants the texts among the last lines, what fits on a terminal, and the
// last of them to be the last line.
func expectEnd(t *testing.T, said string, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := lines[len(lines)-1]
	screen := strings.Join(lines[max(0, len(lines)-23):], "\n")
	for _, w := range want {
		if !strings.Contains(screen, w) {
			t.Errorf("the last screen says nothing of %q:\n%s", w, screen)
		}
	}
	if w := want[len(want)-1]; last != w {
		t.Errorf("the last line is %q, want %q", last, w)
	}
}

func TestAllIsWell(t *testing.T) {
	said, status := parts(t, true, "say", "echo something", "tests", "go test -json ./good ./none")
	if status != 0 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"== say\nsomething\n", "ok  \tm/good\t", "?   \tm/none\t"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing of %q in\n%s", want, said)
		}
	}
	if strings.Contains(said, "chatter") {
		t.Errorf("shows what a test said that passed:\n%s", said)
	}
	expectEnd(t, said, "2 passed, 0 failed")
}

func TestFailuresAreNamedAtTheEnd(t *testing.T) {
	said, status := parts(t, false, "lint", "echo ugly; exit 3", "tests", "go test -json ./...",
		"loud", "seq 1700", "more", "go test -json ./good")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"ugly\n", "the reason", "another", "oh no", "no world", "undefined: undefined", "FAIL\tm/bad\t", "ok  \tm/good\t"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing of %q in\n%s", want, said)
		}
	}
	expectEnd(t, said, "  lint\n    exit status 3", "  m/bad\n    TestBad/deep\n      a_test.go:6: the reason\n    TestBad2\n      a_test.go:7: another\n",
		"  m/panics\n    TestPanics\n      panic: oh no", "  m/exits\n", "  m/broken\n", "skipped:\n  m/skips\n    TestSkips\n", "7 passed, 6 failed, 1 skipped")
}

func TestASkipFailsInCI(t *testing.T) {
	said, status := parts(t, true, "tests", "go test -json ./skips")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	expectEnd(t, said, "TestSkips (skipped)", "1 passed, 1 failed")
}

func TestWhatNeedsAFailedPartIsNotRun(t *testing.T) {
	said, status := parts(t, false, "build!", "false", "tests", "echo ran; go test -json ./good")
	if status != 1 || strings.Contains(said, "ran\n") {
		t.Errorf("status %d:\n%s", status, said)
	}
	expectEnd(t, said, "  build\n    exit status 1", "not run: tests", "0 passed, 1 failed")
}

func TestNothingRunIsNoSuccess(t *testing.T) {
	if said, status := parts(t, false, "say", "echo something"); status != 1 {
		t.Errorf("status %d:\n%s", status, said)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out strings.Builder
	r := run{out: &out}
	cancel()
	r.all(ctx, []string{"one", "echo ran", "two", "echo ran"})
	if r.sum() != 1 || strings.Contains(out.String(), "ran\n") {
		t.Error(out.String())
	}
	expectEnd(t, out.String(), "  one\n    interrupted", "not run: two", "0 passed, 1 failed")
}

// The slowest tests of a part are named behind it, the slowest first.
func TestSlowTestsAreNamed(t *testing.T) {
	event := func(name string, seconds string) string {
		return `echo '{"Action":"pass","Package":"m/x","Test":"` + name + `","Elapsed":` + seconds + `}';`
	}
	said, _ := parts(t, false, "tests", event("TestQuick", "0.4")+event("TestSlow", "2.5")+event("TestSlow/deep", "2.4")+event("TestSlower", "31.25"),
		"more", event("TestOther", "1"))
	want := "   31.2 s  m/x TestSlower\n    2.5 s  m/x TestSlow\n== tests: "
	if !strings.Contains(said, want) || strings.Contains(said, "TestQuick") || strings.Count(said, "TestSlow\n") != 1 || strings.Contains(said, "deep") {
		t.Errorf("not %q in:\n%s", want, said)
	}
	if !strings.Contains(said, "    1.0 s  m/x TestOther\n== more: ") {
		t.Errorf("the slow test of the second part is missing:\n%s", said)
	}
}

// A part beside others waits for none of them, and what it said is shown behind theirs.
func TestBeside(t *testing.T) {
	said, status := parts(t, false, "beside&", "until [ -e made ]; do sleep 0.01; done; echo found; go test -json ./bad", "other", "touch made; echo said", "last", "go test -json ./good")
	if status != 1 || !strings.Contains(said, "\n== other\nsaid\n") || strings.Index(said, "found\n") < strings.Index(said, "== last: ") {
		t.Errorf("status %d:\n%s", status, said)
	}
	expectEnd(t, said, "  m/bad\n    TestBad/deep\n", "4 passed, 2 failed")
	said, _ = parts(t, false, "beside&", "echo ran", "build!", "false", "another&", "echo ran too")
	if !strings.Contains(said, "ran\n") || strings.Contains(said, "ran too\n") {
		t.Error(said)
	}
	expectEnd(t, said, "  build\n    exit status 1", "not run: another", "0 passed, 1 failed")
}

// Parts beside others wait for each other, and each begins behind what stands before it.
func TestBesideOneAfterAnother(t *testing.T) {
	said, status := parts(t, false, "first&", "until [ -e last ]; do sleep 0.01; done; touch first", "needed!", "touch needed",
		"second&", "ls first needed; go test -json ./good", "last", "touch last")
	if status != 0 || !strings.Contains(said, "\n== second\nfirst\nneeded\n") {
		t.Errorf("status %d:\n%s", status, said)
	}
}

// A part that is ended amid a package leaves no test unnamed.
func TestAnEndAmidAPackage(t *testing.T) {
	said, status := parts(t, false, "tests", `echo '{"Action":"run","Package":"m/x","Test":"TestX"}'; echo '{"Action":"output","Package":"m/x","Test":"TestX","Output":"half\n"}'; kill -9 $$`)
	if status != 1 || !strings.Contains(said, "half\n") {
		t.Errorf("status %d:\n%s", status, said)
	}
	expectEnd(t, said, "  m/x\n    TestX (never ended)", "0 passed, 1 failed")
}
