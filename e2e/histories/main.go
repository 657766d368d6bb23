// Histories runs the real mfad, has many clients log in, guess, enroll and be locked, reset
// and the like at random, kills, stops and reloads mfad meanwhile, and holds all that the
// clients saw to the model of package history.
//
//	histories [-for 5m] [-seed N] [flags]
//
// What to know before trusting it: people and administrators speak on mfad's two sockets,
// as the module and mfactl do. A seed gives the same choices, but not the same order of
// what happens at once. Whenever mfad has ended, what was heard of it is checked; the first
// fault of a user is told, and ends the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

// options are the flags.
type options struct {
	length   time.Duration
	seed     uint64
	programs string
	dir      string
	users    int
	clients  int
	pace     time.Duration
	failures int // after which somebody is locked, as the model has it
}

func run(args []string, out io.Writer) int {
	o := options{failures: failures}
	flags := flag.NewFlagSet("histories", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.DurationVar(&o.length, "for", 5*time.Minute, "how long it runs")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "of what is left to chance")
	flags.StringVar(&o.programs, "programs", "build", "the folder of mfad")
	flags.StringVar(&o.dir, "dir", "", "the folder for mfad's files; empty: one that is removed")
	flags.IntVar(&o.users, "users", 6, "how many users, at most 12")
	flags.IntVar(&o.clients, "clients", 3, "how many clients a user has")
	flags.DurationVar(&o.pace, "pace", 100*time.Millisecond, "how long a client rests between two things that it does, on average")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || flags.NArg() > 0 || o.users < 1 || o.users > len(folk) || o.clients < 1:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := o.histories(ctx, out); err != nil {
		fmt.Fprintf(out, "histories: %v\n", err)
		return 1
	}
	return 0
}

// histories runs until the time is up, ctx ends or there is a fault.
func (o options) histories(ctx context.Context, out io.Writer) (err error) {
	if o.programs, err = filepath.Abs(o.programs); err != nil {
		return err
	}
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "mfa-histories-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	fmt.Fprintf(out, "seed %d\n", o.seed)
	r := newRun(o, dir, out)
	defer r.daemon.kill()
	return r.all(ctx)
}
