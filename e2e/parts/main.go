// Parts runs what "make test" is made of, one part after another, goes on behind one
// that failed, and says at the end what failed: the last screen names it.
//
//	parts NAME COMMAND [NAME COMMAND]...
//
// What to know before trusting it: commands are bash's. A line of theirs that is an
// event of "go test -json" is taken in: shown are the lines that go test closes a
// package with, and everything that a test said that did not pass; all other lines
// pass through as they are. At the end of a part its slowest tests are listed. Where a name
// ends with "!" the parts behind it need it, and are not run when it failed. Where it ends with
// "&" the part runs beside those behind it, one such part after another, and all that it said is
// shown last. What failed is listed at the end, each with the last line that says why. The last
// line is "N passed, N failed, N skipped", of tests, and of parts that failed without one. With
// CI=true a test that was skipped has failed. The exit status is 0 only if nothing failed and
// a test ran.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 || len(args)%2 != 0 {
		fmt.Fprintln(os.Stderr, "usage: parts NAME COMMAND [NAME COMMAND]...")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	r := run{out: os.Stdout, strict: os.Getenv("CI") == "true"}
	r.all(ctx, args)
	status := r.sum()
	stop()
	os.Exit(status)
}

// A run goes through the parts.
type run struct {
	out     io.Writer
	strict  bool // what was skipped has failed
	passed  int
	failed  []failure
	skipped []failure
	unrun   []string // parts that were not run
	slow    []timed  // tests of this part that took a second or more
}

// A timed test is one that passed and the seconds it took, waiting for others of its
// package included.
type timed struct {
	where, what string
	seconds     float64
}

// A failure is what did not pass: a test of a package, or a part without one. Why is the last
// line in which the test says what is wrong, "" if there is none.
type failure struct{ where, what, why string }

// all runs the parts.
func (r *run) all(ctx context.Context, args []string) {
	var beside []*part
	for len(args) > 0 {
		name, command := args[0], args[1]
		args = args[2:]
		if name, others := strings.CutSuffix(name, "&"); others {
			beside = append(beside, begin(ctx, name, command, beside))
			continue
		}
		name, needed := strings.CutSuffix(name, "!")
		if r.part(ctx, name, command) || ctx.Err() == nil && !needed {
			continue
		}
		for ; len(args) > 0; args = args[2:] {
			r.unrun = append(r.unrun, strings.TrimRight(args[0], "!&"))
		}
	}
	for _, p := range beside {
		r.join(ctx, p)
	}
}

// shell returns a command of bash that ends with ctx.
func shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// part runs one part and reports whether all is well.
func (r *run) part(ctx context.Context, name, command string) bool {
	before, began := r.open(name), time.Now()
	cmd := shell(ctx, command)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		r.read(out)
		err = cmd.Wait()
	}
	return r.close(ctx, name, before, time.Since(began), err)
}

// A part is one that runs beside others.
type part struct {
	name  string
	said  bytes.Buffer
	ended chan struct{} // closed when what follows is known
	took  time.Duration
	err   error
}

// begin starts a part that runs beside others, behind those before it that do so, too.
func begin(ctx context.Context, name, command string, before []*part) *part {
	p := &part{name: name, ended: make(chan struct{})}
	cmd := shell(ctx, command)
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	go func() {
		for _, other := range before {
			<-other.ended
		}
		began := time.Now()
		p.err = cmd.Run()
		p.took = time.Since(began)
		close(p.ended)
	}()
	return p
}

// join waits for a part that runs beside others, and shows what it said.
func (r *run) join(ctx context.Context, p *part) {
	<-p.ended
	before := r.open(p.name)
	r.read(&p.said)
	r.close(ctx, p.name, before, p.took, p.err)
}

// open begins to show a part, and returns how many failures there were before.
func (r *run) open(name string) (failures int) {
	_, _ = fmt.Fprintf(r.out, "\n== %s\n", name)
	r.slow = nil
	return len(r.failed)
}

// close ends a part, and reports whether all is well.
func (r *run) close(ctx context.Context, name string, before int, took time.Duration, err error) bool {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil && len(r.failed) == before {
		r.failed = append(r.failed, failure{where: name, what: fmt.Sprintf("%v (what it said is above)", err)})
	}
	r.slowest()
	_, _ = fmt.Fprintf(r.out, "== %s: %s\n", name, took.Round(time.Second))
	return err == nil && len(r.failed) == before
}

// An event is one of "go test -json": go doc test2json.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// read takes the output of a part until its end.
func (r *run) read(out io.Reader) {
	packages := map[string]*pkg{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case !bytes.HasPrefix(line, []byte(`{`)) || json.Unmarshal(line, &e) != nil || e.Action == "":
			_, _ = r.out.Write(line)
		case e.Action == "build-output":
			_, _ = io.WriteString(r.out, e.Output)
		case e.Package != "":
			if packages[e.Package] == nil {
				packages[e.Package] = &pkg{name: e.Package, tests: map[string]*test{}}
			}
			r.take(packages[e.Package], e)
		}
		if err != nil {
			break
		}
	}
	for _, p := range packages {
		if !p.ended { // go test itself was ended
			r.endPackage(p, event{Action: "fail"})
		}
	}
}

// slowest lists the tests of a part that took longest, so that it is known what to
// shorten when the whole takes too long.
func (r *run) slowest() {
	slices.SortStableFunc(r.slow, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range r.slow[:min(len(r.slow), most)] {
		_, _ = fmt.Fprintf(r.out, "%7.1f s  %s %s\n", t.seconds, t.where, t.what)
	}
}

// sum says what failed, ends with the closing line and returns the exit status.
func (r *run) sum() int {
	if r.strict {
		for _, s := range r.skipped {
			r.failed = append(r.failed, failure{where: s.where, what: s.what + " (skipped)"})
		}
		r.skipped = nil
	}
	r.list("skipped", r.skipped)
	r.list("FAILED", r.failed)
	if len(r.unrun) > 0 {
		_, _ = fmt.Fprintf(r.out, "\nnot run: %s\n", strings.Join(r.unrun, ", "))
	}
	tail := ""
	if len(r.skipped) > 0 {
		tail = fmt.Sprintf(", %d skipped", len(r.skipped))
	}
	_, _ = fmt.Fprintf(r.out, "\n%d passed, %d failed%s\n", r.passed, len(r.failed), tail)
	if len(r.failed) > 0 || len(r.unrun) > 0 || r.passed == 0 {
		return 1
	}
	return 0
}

// most is how many names of one package, or slow tests of a part, are listed: all shall
// fit on a screen.
const most = 12

// list writes names, by package.
func (r *run) list(title string, found []failure) {
	if len(found) == 0 {
		return
	}
	var order []string
	byWhere := map[string][]failure{}
	for _, f := range found {
		if byWhere[f.where] == nil {
			order = append(order, f.where)
		}
		byWhere[f.where] = append(byWhere[f.where], f)
	}
	_, _ = fmt.Fprintf(r.out, "\n%s:\n", title)
	for _, where := range order {
		_, _ = fmt.Fprintf(r.out, "  %s\n", where)
		for i, f := range byWhere[where] {
			if i == most {
				_, _ = fmt.Fprintf(r.out, "    and %d more\n", len(byWhere[where])-most)
				break
			}
			_, _ = fmt.Fprintf(r.out, "    %s\n", f.what)
			if f.why != "" {
				_, _ = fmt.Fprintf(r.out, "      %.150s\n", f.why)
			}
		}
	}
}
