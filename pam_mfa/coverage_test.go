package main

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unreached is the list of what no test reaches of the C, with the reason of each line.
const unreached = "testdata/unreached"

// apart are tests that say nothing of the C's coverage, or build a module of their own.
const apart = "^(TestCoverage|TestShipped.*|TestPromise|TestValgrind|TestSanitizers|TestCShared|TestVersion|TestEachCall.*|TestThreads|TestForks|TestSignals)$"

var countLines = flag.Bool("c-coverage", false, "look which lines of the C no test reaches; minutes")

// TestCoverage holds the tests to the C: a line that stands in no list is reached. It is
// computed from logins through libpam, those of this package and those of the walk, with a
// module that clang built to count.
func TestCoverage(t *testing.T) {
	if !*countLines {
		t.Skip("make c-coverage runs it")
	}
	for _, name := range []string{"clang", "llvm-profdata", "llvm-cov"} {
		needTool(t, name)
	}
	profiles := filepath.Join(built.dir, "profiles") // some logins are of other users
	if err := os.Mkdir(profiles, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(profiles, 0o777); err != nil {
		t.Fatal(err)
	}
	counting := tool{
		cc: "clang", flags: "-g -O1 -fprofile-instr-generate -fcoverage-mapping",
		env: []string{"LLVM_PROFILE_FILE=" + profiles + "/walk%m.profraw"},
	}
	w := buildWalk(t, counting)
	w.run(t, "faults")
	w.run(t, "-C", "-e", "3", "faults")

	module := filepath.Join(built.dir, "counting.so")
	build := moduleBuild(module, "MODULE_VERSION=dev", "CC=clang", "MODULE_FORTIFY=", "MODULE_EXTRA="+counting.flags)
	if out, err := exec.CommandContext(t.Context(), build[0], build[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tests := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^Test", "-test.skip="+apart)
	tests.Env = append(os.Environ(), asShipped+"="+module, "LLVM_PROFILE_FILE="+profiles+"/tests%m-%p.profraw")
	if out, err := tests.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	c := readCoverage(t, profiles, filepath.Join(w.dir, "pam_mfa.so"), module)
	missing := c.missing(t)
	t.Logf("lines: %d of %d reached; ways of a condition: %d of %d", c.lines-len(c.zeroes), c.lines, c.taken, c.ways)
	expectExplained(t, missing)
}

// A coverage is what llvm-cov counted.
type coverage struct {
	lines, ways, taken int // ways of a condition, and those that were taken
	zeroes             []place
}

// A place is a line of a file of the C.
type place struct {
	file string
	line int
}

// readCoverage merges the profiles and reads them as lcov's tracefile (geninfo(1)).
func readCoverage(t *testing.T, profiles string, modules ...string) coverage {
	t.Helper()
	raw, err := filepath.Glob(profiles + "/*.profraw")
	if err != nil || len(raw) < 2 {
		t.Fatalf("profiles %v, %v", raw, err)
	}
	merged := filepath.Join(profiles, "all.profdata")
	merge := slices.Concat([]string{"merge", "-sparse", "-o", merged}, raw)
	if out, err := exec.CommandContext(t.Context(), "llvm-profdata", merge...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "llvm-cov", "export", "-format=lcov", "-instr-profile="+merged,
		modules[0], "-object="+modules[1]).Output()
	if err != nil {
		t.Fatal(err)
	}
	var c coverage
	file := ""
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		fields := strings.Split(value, ",")
		switch key {
		case "SF":
			file = filepath.Base(value)
		case "DA":
			c.lines++
			if fields[1] == "0" {
				c.zeroes = append(c.zeroes, place{file, number(t, fields[0])})
			}
		case "BRDA":
			c.ways++
			if fields[3] != "0" && fields[3] != "-" {
				c.taken++
			}
		}
	}
	if c.lines < 500 {
		t.Fatalf("llvm-cov knows %d lines only", c.lines)
	}
	return c
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// missing returns the lines that were not reached, as the list spells them: the file and the
// text. Where a block ends is no line.
func (c coverage) missing(t *testing.T) (lines []string) {
	t.Helper()
	texts := map[string][]string{}
	for _, p := range c.zeroes {
		if texts[p.file] == nil {
			text, err := os.ReadFile(p.file)
			if err != nil {
				t.Fatal(err)
			}
			texts[p.file] = strings.Split(string(text), "\n")
		}
		if text := strings.TrimSpace(texts[p.file][p.line-1]); text != "}" {
			lines = append(lines, p.file+": "+text)
		}
	}
	return lines
}

// expectExplained fails for a line that is not reached and not on the list, and for one on the
// list that is reached. Behind one or more lines the list has their reason, indented.
func expectExplained(t *testing.T, missing []string) {
	t.Helper()
	text, err := os.ReadFile(unreached)
	if err != nil {
		t.Fatal(err)
	}
	explained, unexplained := map[string]bool{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '\t':
			unexplained = ""
		default:
			explained[line], unexplained = true, line
		}
	}
	if unexplained != "" {
		t.Errorf("%s has no reason for: %s", unreached, unexplained)
	}
	for _, m := range slices.Compact(slices.Sorted(slices.Values(missing))) {
		if !explained[m] {
			t.Errorf("not reached, and %s has no reason: %s", unreached, m)
		}
		delete(explained, m)
	}
	for line := range explained {
		t.Errorf("reached; take it off %s: %s", unreached, line)
	}
}
