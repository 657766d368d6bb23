// Command fuzz lists the fuzz targets of the repository and runs them.
//
//	go run ./fuzz                    # each target on a line: its package, its name
//	go run ./fuzz -for 20m           # run each for 20 minutes
//	go run ./fuzz -for 20m -keep     # and keep what was found out
//
// In the list a package that is a program has "main" behind it, for no other program can import
// it. fuzz/build.sh builds what is listed for OSS-Fuzz, so that no target waits for somebody who
// writes it into a list.
//
// A run begins with the corpus that is kept in fuzz/corpus, one archive a target. With -keep it
// writes the corpus back, and the target's line in fuzz/FIGURES.md. An input that fails is
// written where "go test" writes it, to testdata/fuzz of the package; the run goes on with the
// next target, and the exit status is 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	only := flag.String("run", "", "list or run only the targets that match this, written as in the list")
	long := flag.Duration("for", 0, "run each target for so long; 0 lists them")
	keep := flag.Bool("keep", false, "keep the corpora and the figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := listOrRun(ctx, *only, *long, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// listOrRun does what the flags ask for, in the folder of the sources.
func listOrRun(ctx context.Context, only string, long time.Duration, keep bool) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	all, err := list(".")
	if err != nil {
		return err
	}
	var targets []target
	for _, t := range all {
		if match.MatchString(t.String()) {
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return fmt.Errorf("no target matches %q", only)
	}
	if long > 0 {
		return run(ctx, os.Stdout, targets, long, keep)
	}
	for _, t := range targets {
		fmt.Println(t)
	}
	return nil
}
