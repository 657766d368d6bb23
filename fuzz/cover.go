package main

import (
	"bufio"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A percent is a part of a whole; none where there is no whole.
type percent struct{ part, whole int }

// String is the percentage, without a fraction.
func (p percent) String() string {
	if p.whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%d %%", 100*p.part/p.whole)
}

// cover runs a target over a corpus and over what its test adds, and returns which part of the
// statements it reaches, of the functions of its package that it reaches at all.
func cover(ctx context.Context, t target, built, corpus string) (percent, error) {
	if t.c {
		return coverC(ctx, t, built, corpus)
	}
	program := built + ".cover"
	if err := build(ctx, t, program, nil, "-cover"); err != nil {
		return percent{}, err
	}
	profile := built + ".profile"
	if err := runOver(ctx, t, corpus, program, nil, "-test.coverprofile="+profile); err != nil {
		return percent{}, err
	}
	blocks, err := readProfile(profile)
	if err != nil {
		return percent{}, err
	}
	return reached(t.dir, blocks)
}

// runOver runs the test of a target over a corpus. The test reads it from testdata/fuzz of the
// folder that it runs in, and nowhere else: so it runs in a folder that has what the package's
// has, and this corpus.
func runOver(ctx context.Context, t target, corpus, program string, env []string, flags ...string) error {
	work, err := os.MkdirTemp("", "cover")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	inputs := filepath.Join(work, "testdata", "fuzz", t.name)
	if err := os.MkdirAll(inputs, 0o755); err != nil {
		return err
	}
	for _, folder := range []string{".", "testdata"} {
		if err := link(filepath.Join(t.dir, folder), filepath.Join(work, folder)); err != nil {
			return err
		}
	}
	for _, from := range []string{filepath.Join(t.dir, "testdata", "fuzz", t.name), corpus} {
		if err := link(from, inputs); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, program, append(flags, "-test.run=^"+t.name+"$")...)
	cmd.Dir, cmd.Env = work, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// link links what a folder has into another, where nothing has that name. The folder need not
// be there.
func link(from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, entry := range entries {
		err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name()))
		if err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// A block is a line of a profile: some statements that are run together.
type block struct {
	file             string // its last element
	line, statements int
	count            int
}

// readProfile reads what "go test -coverprofile" writes ("go tool cover").
func readProfile(path string) (blocks []block, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	lines.Scan() // the mode
	for lines.Scan() {
		colon := strings.LastIndexByte(lines.Text(), ':')
		if colon < 0 {
			return nil, fmt.Errorf("%s: not a line of a profile: %q", path, lines.Text())
		}
		b := block{file: filepath.Base(lines.Text()[:colon])}
		var column, endLine, endColumn int
		if _, err := fmt.Sscanf(lines.Text()[colon+1:], "%d.%d,%d.%d %d %d", &b.line, &column, &endLine, &endColumn, &b.statements, &b.count); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, lines.Text(), err)
		}
		blocks = append(blocks, b)
	}
	return blocks, lines.Err()
}

// reached adds up the functions of a folder of which a statement was run.
func reached(dir string, blocks []block) (sum percent, err error) {
	byFile := map[string][]block{}
	for _, b := range blocks {
		byFile[b.file] = append(byFile[b.file], b)
	}
	for name, blocks := range byFile {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return sum, err
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			var of percent
			for _, b := range blocks {
				if b.line < set.Position(fn.Pos()).Line || b.line > set.Position(fn.End()).Line {
					continue
				}
				of.whole += b.statements
				if b.count > 0 {
					of.part += b.statements
				}
			}
			if of.part > 0 {
				sum.part, sum.whole = sum.part+of.part, sum.whole+of.whole
			}
		}
	}
	return sum, nil
}
