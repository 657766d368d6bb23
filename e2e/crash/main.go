// Crash kills the real mfad, and cuts its power, at every write of what people do with it,
// and looks at what is left.
//
//	crash [-only SCENARIO] [-replay NUMBER] [flags]
//
// What to know before trusting it: a run of each scenario is traced with ptrace(2), which
// notes each change of the disk and each word to the outside in one order. SIGKILL leaves
// what programs saw at that moment. A power failure leaves what was synced, by the file for
// data and by the folder for names, and of the rest any part, in sectors of 512 bytes and in
// pages. Each point has a number; -replay looks at one again, in the recording that is kept
// in -dir. A disk that loses what it said was synced is not in it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

// options are the flags.
type options struct {
	only, replay, programs, dir, lie string
	random, share, kills             int
	inside, outside                  int
	seed                             uint64
}

func run(args []string, out io.Writer) int {
	var o options
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.only, "only", "", "walk only the scenarios with these names, with commas between them")
	flags.StringVar(&o.replay, "replay", "", "look at the point with this `NUMBER` again")
	flags.StringVar(&o.programs, "programs", "build", "the folder of mfad and mfactl")
	flags.StringVar(&o.dir, "dir", "build/torture", "the folder for recordings and the list of points")
	flags.IntVar(&o.random, "random", 8, "power cuts by chance at each place")
	flags.IntVar(&o.share, "share", 1, "look at one power cut of so many")
	flags.IntVar(&o.kills, "kills", 12, "times that each scenario's daemon is really killed; -1: at each operation")
	flags.IntVar(&o.inside, "inside", 25, "log in at one point of so many, in a daemon in this process")
	flags.IntVar(&o.outside, "outside", 500, "log in at one point of so many, in a daemon of its own")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "of what is left to chance")
	flags.StringVar(&o.lie, "lie", "", "have the disk lie: "+lieData+", "+lieNames+", "+lieLog+", or mfad: "+lieEarly+"; then points must fail")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || flags.NArg() > 0:
		return 2
	}
	if err := o.torture(out); err != nil {
		fmt.Fprintf(out, "crash: %v\n", err)
		return 1
	}
	return 0
}

// torture walks all scenarios that are asked for.
func (o *options) torture(out io.Writer) (err error) {
	if o.programs, err = filepath.Abs(o.programs); err != nil {
		return err
	}
	if o.replay != "" {
		return o.again(out)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.dir, "points.txt"))
	if err != nil {
		return err
	}
	points := bufio.NewWriter(f)
	defer func() { err = errors.Join(err, points.Flush(), f.Close()) }()
	fmt.Fprintf(out, "seed %d\n%-14s %6s %7s %7s %6s %7s %8s\n", o.seed, "scenario", "writes", "kills", "cuts", "real", "logins", "seconds")
	var sum tally
	real, failed, began := 0, 0, time.Now()
	for _, s := range scenarios() {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+s.name+",") {
			continue
		}
		t, n, bad := o.scenario(s, out, points)
		sum.kills, sum.cuts, sum.logins = sum.kills+t.kills, sum.cuts+t.cuts, sum.logins+t.logins
		real, failed = real+n, failed+bad
	}
	fmt.Fprintf(out, "%-14s %6s %7d %7d %6d %7d %8.1f\n%d points, %d failed; %s lists them\n", "all", "", sum.kills, sum.cuts, real, sum.logins,
		time.Since(began).Seconds(), sum.kills+sum.cuts+real, failed, f.Name())
	if failed > 0 {
		return fmt.Errorf("%d points failed", failed)
	}
	return nil
}

// scenario records one scenario and walks it. It returns the points, the real kills, and how
// many of both failed.
func (o *options) scenario(s scenario, out, points io.Writer) (t tally, kills, failed int) {
	began := time.Now()
	say := func(err error) {
		if failed++; failed <= 12 {
			fmt.Fprintf(out, "FAILED %v\n", err)
		}
	}
	stage, err := newStage(s, o.programs)
	if err != nil {
		say(fmt.Errorf("%s: %w", s.name, err))
		return t, 0, failed
	}
	defer stage.strike()
	rec, err := stage.record()
	if err == nil {
		rec.Seed, rec.Random = o.seed, o.random
		err = rec.save(filepath.Join(o.dir, s.name+".rec"))
	}
	if err != nil {
		say(fmt.Errorf("%s: %w", s.name, err))
		return t, 0, failed
	}
	w, err := o.walk(rec, func(line string) { fmt.Fprintln(points, line) })
	if err == nil {
		w.share = max(1, s.share) * o.share
		err = errors.Join(w.kills(), w.powers())
		w.close()
	}
	if err != nil {
		say(fmt.Errorf("%s: %w", s.name, err))
	}
	for _, f := range w.failed {
		say(errors.New(f))
	}
	for _, n := range o.killsOf(rec) {
		id := fmt.Sprintf("%s/kill/%d", s.name, n)
		fmt.Fprintln(points, id, "mfad itself is killed before operation", n)
		if err := stage.killed(n, o); err != nil {
			say(fmt.Errorf("%s: %w", id, err))
		}
		kills++
	}
	fmt.Fprintf(out, "%-14s %6d %7d %7d %6d %7d %8.1f\n", s.name, rec.writes(), w.tally.kills, w.tally.cuts, kills, w.tally.logins, time.Since(began).Seconds())
	return w.tally, kills, failed
}

// killsOf returns before which operations the daemon is really killed: spread over all.
func (o *options) killsOf(rec *recording) (all []int) {
	n := o.kills
	if n < 0 || n > len(rec.Ops) {
		n = len(rec.Ops)
	}
	for i := range n {
		all = append(all, 1+i*len(rec.Ops)/n+int(o.seed%uint64(max(1, len(rec.Ops)/n))))
	}
	return all
}

// walk returns the walk over a recording.
func (o *options) walk(rec *recording, list func(string)) (*walk, error) {
	if o.lie == lieEarly {
		rec.early()
	}
	scratch, err := os.MkdirTemp("/dev/shm", "mfa-crash-")
	return &walk{
		rec: rec, scratch: scratch, random: o.random, seed: o.seed, share: o.share, lie: o.lie, list: list,
		probes: &probes{inside: o.inside, outside: o.outside, programs: o.programs},
	}, err
}

// close removes what a walk made.
func (w *walk) close() { _ = os.RemoveAll(w.scratch) }

// again looks at one point again.
func (o *options) again(out io.Writer) error {
	parts := strings.Split(o.replay, "/")
	if len(parts) != 3 {
		return fmt.Errorf("%q is no number of a point, like app/41/7", o.replay)
	}
	if parts[1] == "kill" {
		return o.killAgain(parts[0], parts[2], out)
	}
	rec, err := load(filepath.Join(o.dir, parts[0]+".rec"))
	if err != nil {
		return err
	}
	for k, op := range rec.Ops {
		fmt.Fprintf(out, "%4d %v\n", k, op)
	}
	o.seed, o.random = rec.Seed, rec.Random
	w, err := o.walk(rec, func(line string) { fmt.Fprintln(out, line) })
	if err != nil {
		return err
	}
	defer w.close()
	w.probes.inside, w.probes.outside, w.only = 1, 0, o.replay
	if err := errors.Join(w.kills(), w.powers()); err != nil {
		return err
	}
	if w.tally == (tally{}) {
		return fmt.Errorf("%s is no point of %s", o.replay, filepath.Join(o.dir, parts[0]+".rec"))
	}
	if len(w.failed) > 0 {
		return errors.New(strings.Join(w.failed, "\n"))
	}
	fmt.Fprintln(out, "good")
	return nil
}

// killAgain kills the daemon of a scenario before an operation once more.
func (o *options) killAgain(name, operation string, out io.Writer) error {
	n, err := strconv.Atoi(operation)
	if err != nil {
		return err
	}
	for _, s := range scenarios() {
		if s.name != name {
			continue
		}
		stage, err := newStage(s, o.programs)
		if err != nil {
			return err
		}
		defer stage.strike()
		if err := stage.killed(n, o); err != nil {
			return err
		}
		fmt.Fprintln(out, "good")
		return nil
	}
	return fmt.Errorf("there is no scenario %q", name)
}
