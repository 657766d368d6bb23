package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mfa/e2e/history"
)

// A running is one run.
type running struct {
	options
	out    io.Writer
	daemon *daemon
	rec    history.Recorder
	owners []*owner
	checks *history.Checker

	// gate is held for reading by who speaks to mfad, for writing by who starts mfad and
	// checks: then nothing is open.
	gate sync.RWMutex

	cancel context.CancelCauseFunc
	did    chan struct{} // gets one for each thing that a client did

	operations, histories, kills, ends, reloads, rotations, accepted, wrong, locks, unknown atomic.Int64
}

func newRun(o options, dir string, out io.Writer) *running {
	r := &running{options: o, out: out, daemon: &daemon{dir: dir, program: filepath.Join(o.programs, "mfad")}, did: make(chan struct{}, 1000)}
	r.checks = history.NewChecker(history.Params{Failures: o.failures})
	for _, name := range folk[:o.users] {
		r.owners = append(r.owners, &owner{name: name})
	}
	return r
}

// fail ends the run if err is not nil.
func (r *running) fail(err error) {
	if err != nil {
		r.cancel(err)
	}
}

// errOver is the cause of a run that ends because its time is up.
var errOver = errors.New("the time is up")

// all has clients do things until the time is up, and disturbs mfad meanwhile.
func (r *running) all(ctx context.Context) error {
	if err := errors.Join(r.daemon.configure(), r.daemon.start()); err != nil {
		return err
	}
	ctx, r.cancel = context.WithCancelCause(ctx)
	over := time.AfterFunc(r.length, func() { r.cancel(errOver) })
	defer over.Stop()
	var clients sync.WaitGroup
	number := 0
	as := func(do func(c *client)) {
		c := &client{run: r, number: number, rand: rand.New(rand.NewPCG(r.seed, uint64(number+1)))}
		number++
		clients.Go(func() { do(c) })
	}
	for range r.clients {
		for _, o := range r.owners {
			as(func(c *client) { c.logsIn(ctx, o) })
		}
	}
	for range 2 {
		as(func(c *client) { c.administers(ctx) })
	}
	clients.Go(func() { r.reports(ctx) })
	r.disturb(ctx)
	r.daemon.kill() // if it hangs, so do clients
	clients.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errOver) {
		return err
	}
	return r.check()
}

// disturb kills, stops and reloads mfad until ctx ends, each time after the clients did some
// things, and checks what was heard of each mfad.
func (r *running) disturb(ctx context.Context) {
	chance := rand.New(rand.NewPCG(r.seed, 0))
	for {
		for range 20 + chance.IntN(200) {
			if !r.awaits(ctx) {
				r.fail(r.daemon.end(syscall.SIGTERM))
				return
			}
		}
		switch n := chance.IntN(10); {
		case n < 6:
			r.kills.Add(1)
			r.fail(r.again(syscall.SIGKILL))
		case n < 7:
			r.ends.Add(1)
			r.fail(r.again(syscall.SIGTERM))
		default:
			r.reloads.Add(1)
			r.fail(r.reload(chance))
		}
	}
}

// awaits waits until a client has done something. It returns false when ctx ends.
func (r *running) awaits(ctx context.Context) bool {
	for range int(patience / time.Second) {
		select {
		case <-ctx.Done():
			return false
		case <-r.did:
			return true
		case <-time.After(time.Second):
		}
	}
	r.fail(errors.New("mfad answers nobody\n" + r.daemon.log()))
	return false
}

// again ends mfad, checks all that was heard of it, and starts it.
func (r *running) again(sig syscall.Signal) error {
	if err := r.daemon.end(sig); err != nil {
		return err
	}
	r.gate.Lock()
	defer r.gate.Unlock()
	if err := r.check(); err != nil {
		return err
	}
	return r.daemon.start()
}

// reload has mfad read a changed configuration.
func (r *running) reload(chance *rand.Rand) error {
	if err := r.daemon.configure(fmt.Sprintf("backup.codes = %d", 8+chance.IntN(4))); err != nil {
		return err
	}
	return r.daemon.cmd.Process.Signal(syscall.SIGHUP)
}

// check checks what was heard since it was called last. Nothing is open.
func (r *running) check() error {
	all := r.rec.Take()
	users := map[string]bool{}
	for _, o := range all {
		users[o.User] = true
		switch o.Outcome {
		case history.Accepted:
			r.accepted.Add(1)
		case history.Wrong:
			r.wrong.Add(1)
		case history.LastWrong:
			r.locks.Add(1)
		case history.Unknown:
			r.unknown.Add(1)
		}
	}
	r.operations.Add(int64(len(all)))
	r.histories.Add(int64(len(users)))
	for _, f := range r.checks.Add(all) {
		return errors.New(f.String())
	}
	return nil
}

// reports says every 10 seconds what was done so far.
func (r *running) reports(ctx context.Context) {
	began := time.Now()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.report(began)
			return
		case <-tick.C:
			r.report(began)
		}
	}
}

func (r *running) report(began time.Time) {
	fmt.Fprintf(r.out, "%4.0f s: %d histories of %d operations: %d accepted, %d wrong, %d locks, %d unknown; mfad killed %d times, stopped %d, reloaded %d; key changed %d\n",
		time.Since(began).Seconds(), r.histories.Load(), r.operations.Load(), r.accepted.Load(), r.wrong.Load(), r.locks.Load(), r.unknown.Load(),
		r.kills.Load(), r.ends.Load(), r.reloads.Load(), r.rotations.Load())
}
