package fleet

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var (
	// whole has every scenario run as long as "make fleet-test" wants it; without it a part
	// of about a minute runs.
	whole = flag.Bool("whole", false, "run all scenarios, at their full length")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what clients choose at random")
)

func TestMain(m *testing.M) {
	if by := os.Getenv(aheadBy); by != "" {
		os.Exit(serveAhead(by, os.Args))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	flag.Parse()
	var err error
	if folder, err = os.MkdirTemp("", "fleet"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return m.Run()
}
