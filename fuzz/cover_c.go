package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// coverC is cover for a package with C: it counts the lines of the C, by clang and llvm-cov.
func coverC(ctx context.Context, t target, built, corpus string) (percent, error) {
	program, raw, merged := built+".cover", built+".profraw", built+".profdata"
	// A Go program leaves without the C library's exit, where the counts would be written: "%c"
	// has them in the file from the beginning, which takes that one flag more.
	const counting = "-fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation"
	env := []string{"CC=clang", "CGO_CFLAGS=-g -O1 " + counting, "CGO_LDFLAGS=-fprofile-instr-generate"}
	if err := build(ctx, t, program, env); err != nil {
		return percent{}, err
	}
	if err := os.Remove(raw); err != nil && !os.IsNotExist(err) { // of the target before
		return percent{}, err
	}
	if err := runOver(ctx, t, corpus, program, []string{"LLVM_PROFILE_FILE=" + raw + "%c"}); err != nil {
		return percent{}, err
	}
	if out, err := exec.CommandContext(ctx, "llvm-profdata", "merge", "-sparse", "-o", merged, raw).CombinedOutput(); err != nil {
		return percent{}, fmt.Errorf("llvm-profdata: %w\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(t.dir, "*.c"))
	if err != nil {
		return percent{}, err
	}
	out, err := exec.CommandContext(ctx, "llvm-cov", append([]string{"report", "-show-functions", "-instr-profile=" + merged, program}, files...)...).Output()
	if err != nil {
		return percent{}, fmt.Errorf("llvm-cov: %w", err)
	}
	return reachedLines(out)
}

// reachedLines adds up the functions of a report of llvm-cov of which a line was run. Each has
// a line there: its name; regions, missed, covered; lines, missed, covered; and branches.
func reachedLines(report []byte) (sum percent, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(report)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 7 || fields[0] == "Name" || fields[0] == "TOTAL" {
			continue
		}
		whole, err := strconv.Atoi(fields[4])
		if err != nil {
			return sum, fmt.Errorf("not a line of llvm-cov: %q", lines.Text())
		}
		missed, err := strconv.Atoi(fields[5])
		if err != nil {
			return sum, fmt.Errorf("not a line of llvm-cov: %q", lines.Text())
		}
		if missed < whole {
			sum.part, sum.whole = sum.part+whole-missed, sum.whole+whole
		}
	}
	return sum, nil
}
