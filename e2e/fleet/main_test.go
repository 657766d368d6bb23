package fleet

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// whole has every scenario run as long as "make fleet-test" wants it; without it a part of
// about a minute runs.
var whole = flag.Bool("whole", false, "run all scenarios, at their full length")

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	var err error
	if folder, err = os.MkdirTemp("", "fleet"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return m.Run()
}
