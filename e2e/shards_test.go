package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Most of these tests wait, for sshd or for a prompt. So a run of all of them is made of
// shards that run at the same time, each in namespaces of its own: nothing but the
// network, where all take free ports, and the processor is shared.

// otherShard are the tests that need a second Debian, and have a shard for themselves: the
// others need not wait until it is there.
var otherShard = []string{"TestOnTheOtherDebian", "TestDemoByAPerson", "TestDemoInAChroot"}

// A shard is a part of the tests.
type shard struct {
	args   []string // of this binary
	before func()   // done first; nil: nothing
	out    io.Writer
	log    string // path of what the go command is to know that the tests read; empty: nothing
}

// runOutside runs this binary again within namespaces, once for each shard, and returns
// the exit status of the first one that failed.
func runOutside() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: needs root, to have namespaces of its own and to run sshd")
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	if err := findArtefacts(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	args := os.Args[1:]
	if !slices.ContainsFunc(args, chooses) {
		return runShards(args)
	}
	fetchOtherDebian()
	return runInside(shard{args: args, out: os.Stdout})
}

// chooses says whether an argument says which tests to run, or that something else is
// wanted of them: that is one shard. One that leaves some out is for each shard.
func chooses(arg string) bool {
	name, value, inOne := strings.Cut(arg, "=")
	switch name {
	case "-test.run", "-test.list", "-test.bench", "-test.fuzz", "-test.coverprofile":
		return value != "" || !inOne
	}
	return false
}

// runShards runs all tests. The first shard is heard as it runs, the others after it.
func runShards(args []string) int {
	halves, err := halves()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: list the tests:", err)
		return 1
	}
	shards := []shard{
		{args: slices.Concat(args, only(halves[0]))},
		{args: slices.Concat(args, only(halves[1]))},
		{args: slices.Concat(args, only(otherShard)), before: fetchOtherDebian},
	}
	dir, err := os.MkdirTemp("", "mfa-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	status := make([]int, len(shards))
	said := make([]bytes.Buffer, len(shards))
	var all sync.WaitGroup
	for i := range shards {
		s := &shards[i]
		if s.out = &said[i]; i == 0 {
			s.out = os.Stdout
		} else {
			s.ownLog(filepath.Join(dir, fmt.Sprint(i)))
		}
		all.Go(func() {
			if s.before != nil {
				s.before()
			}
			status[i] = runInside(*s)
		})
	}
	all.Wait()
	for i, s := range shards[1:] {
		_, _ = os.Stdout.Write(said[i+1].Bytes())
		s.joinLog(args)
	}
	return status[max(0, slices.IndexFunc(status, func(s int) bool { return s != 0 }))]
}

// halves returns the names of all tests but those of otherShard, in two halves: of each file some
// in either, since what lies together takes about as long.
func halves() (halves [2][]string, err error) {
	cmd := exec.Command("/proc/self/exe", "-test.list=.")
	cmd.Env = append(os.Environ(), inside+"=list")
	out, err := cmd.Output()
	if err != nil {
		return halves, err
	}
	n := 0
	for name := range strings.Lines(string(out)) {
		if name = strings.TrimSpace(name); strings.HasPrefix(name, "Test") && !slices.Contains(otherShard, name) {
			halves[n%2] = append(halves[n%2], name)
			n++
		}
	}
	if n < 2 {
		return halves, errors.New("there are none")
	}
	return halves, nil
}

// only is the argument to run the tests of these names.
func only(names []string) []string { return []string{"-test.run=^(" + strings.Join(names, "|") + ")$"} }

// testLog is the argument of the go command that names the file in which a test notes what
// it read, so that its result is not taken for that of another time.
const testLog = "-test.testlogfile="

// ownLog gives s a log of its own at path, if one is wanted.
func (s *shard) ownLog(path string) {
	if i := slices.IndexFunc(s.args, func(a string) bool { return strings.HasPrefix(a, testLog) }); i >= 0 {
		s.args[i], s.log = testLog+path, path
	}
}

// joinLog adds the log of s to that of the first shard.
func (s *shard) joinLog(args []string) {
	i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, testLog) })
	if i < 0 {
		return
	}
	data, err := os.ReadFile(s.log)
	if err != nil {
		return
	}
	_, lines, _ := bytes.Cut(data, []byte("\n")) // behind its title
	_ = appendFile(strings.TrimPrefix(args[i], testLog), string(lines))
}

// runInside runs this binary as process 1 of new namespaces and returns its exit status.
func runInside(s shard) int {
	// The kernel sends Pdeathsig when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", s.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, s.out, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.WaitDelay = 10 * time.Second // for what s.out is written through
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "e2e: run in namespaces:", err)
		return 1
	}
}
