package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where a run keeps what it found out, in the folder of the sources.
const (
	corpora = "fuzz/corpus"
	figures = "fuzz/FIGURES.md"
)

// run gives each target its time, and tells of each what came out. It returns an error if one
// of them failed.
func run(ctx context.Context, to io.Writer, targets []target, long time.Duration, keep bool) error {
	work, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	var failed []string
	for _, t := range targets {
		f, err := runOne(ctx, t, long, keep, work)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, t.name)
			fmt.Fprintf(to, "%s: FAILED: %v\n", t, err)
			continue
		}
		fmt.Fprintf(to, "%s: %s\n", t, f)
		if !keep {
			continue
		}
		if err := keepFigure(figures, t, f); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d targets failed: %s", len(failed), len(targets), strings.Join(failed, " "))
	}
	return nil
}

// A figure is what one run of a target came to.
type figure struct {
	long    time.Duration
	inputs  int     // that were tried
	corpus  int     // inputs that each reach something that no other does
	covered percent // of the functions of the package that the target reaches
}

// String is the figure in a line, without what is covered.
func (f figure) String() string {
	return fmt.Sprintf("%s, %d inputs tried, %d in the corpus", f.long, f.inputs, f.corpus)
}

// runOne runs a target. The programs of a package are built once, in work.
func runOne(ctx context.Context, t target, long time.Duration, keep bool, work string) (figure, error) {
	built := filepath.Join(work, strings.ReplaceAll(t.dir, "/", "_"))
	fuzzer := built + ".fuzz"
	how := []string{"-fuzz=."}
	if t.c {
		how = append(how, "-asan")
	}
	if err := build(ctx, t, fuzzer, nil, how...); err != nil {
		return figure{}, err
	}
	corpus := filepath.Join(work, "corpus")
	kept := filepath.Join(corpora, t.fileName()+".zip")
	if err := unpack(kept, filepath.Join(corpus, t.name)); err != nil {
		return figure{}, err
	}
	f := figure{long: long}
	var err error
	if f.inputs, f.corpus, err = fuzz(ctx, t, fuzzer, corpus, long); err != nil || !keep {
		return f, err
	}
	if err := pack(kept, filepath.Join(corpus, t.name)); err != nil {
		return f, err
	}
	f.covered, err = cover(ctx, t, built, filepath.Join(corpus, t.name))
	return f, err
}

// build builds the tests of a package, unless it was done.
func build(ctx context.Context, t target, program string, env []string, how ...string) error {
	if _, err := os.Stat(program); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"test", "-c", "-vet=off", "-o", program}, how, []string{"./" + t.dir})...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// progress is what the engine says every three seconds and at the end, once it has tried the
// corpus.
var progress = regexp.MustCompile(`fuzz: elapsed: .*, execs: (\d+) `)

// progressing are the lines of what the engine is doing.
var progressing = regexp.MustCompile(`(?m)^fuzz: elapsed: .*\n`)

// fuzz runs a target by one worker, and returns how many inputs it tried and how many the
// corpus has then. In a time that the corpus alone takes it tries none.
func fuzz(ctx context.Context, t target, program, corpus string, long time.Duration) (inputs, kept int, err error) {
	cmd := exec.CommandContext(ctx, program, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+long.String(),
		"-test.fuzzcachedir="+corpus, "-test.parallel=1", "-test.fuzzminimizetime=100x")
	cmd.Dir = t.dir
	out, err := cmd.CombinedOutput()
	if err != nil && !endedLate(out) {
		return 0, 0, fmt.Errorf("%w\n%s", err, progressing.ReplaceAll(out, nil))
	}
	if all := progress.FindAllSubmatch(out, -1); len(all) > 0 {
		if inputs, err = strconv.Atoi(string(all[len(all)-1][1])); err != nil {
			return 0, 0, err
		}
	}
	files, err := os.ReadDir(filepath.Join(corpus, t.name))
	return inputs, len(files), err
}

// endedLate says whether the engine failed only because its time was over in the middle of an
// input, which it takes for a failure (https://go.dev/issue/48591): then it names no input.
func endedLate(out []byte) bool {
	text := string(out)
	return strings.Contains(text, "context deadline exceeded") && !strings.Contains(text, "Failing input written")
}

// fileName names a target's files.
func (t target) fileName() string { return strings.ReplaceAll(t.dir, "/", "_") + "_" + t.name }
