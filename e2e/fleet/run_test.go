package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"mfa/e2e/history"
	"mfa/internal/factor/otp"
	"mfa/internal/wire"
)

// Names that the history has for what people hold.
const (
	theApp   = "app"
	thePaper = "paper"
	thePlace = "203.0.113.7"
)

// clients is how many log in at once, and pace the longest rest of each between two logins.
const (
	clients = 8
	pace    = 200 * time.Millisecond
)

// A mark is a moment at which something is done to the fleet. A phase begins there, if it
// has a name.
type mark struct {
	name string
	at   time.Time
}

// A sample is one login, or unlock, as a client saw it.
type sample struct {
	host         *host
	began, ended time.Time
	heard
}

// A run is clients that log in at all hosts, and a note of all that they did and heard. It
// may be used from many goroutines.
type run struct {
	f    *fleet
	seed uint64
	rec  history.Recorder

	pace time.Duration // the longest rest of a client between two logins

	mu      sync.Mutex // guards what follows
	samples []sample
	marks   []mark
	slowest time.Duration // see watchMachine

	stop    context.CancelFunc
	working sync.WaitGroup
}

// start begins a run, whose clients rest so long between two logins. The caller ends it.
func (f *fleet) start(t testing.TB, pace time.Duration) *run {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &run{f: f, seed: *seed, pace: pace, stop: stop}
	r.enrolled()
	r.working.Go(func() { r.watchMachine(ctx) })
	for i := range clients {
		r.working.Go(func() { r.client(ctx, i, rand.New(rand.NewPCG(r.seed, uint64(i)))) })
	}
	return r
}

// enrolled notes that everybody is enrolled.
func (r *run) enrolled() {
	for _, p := range r.f.people {
		r.rec.Begin(0, p.name, history.Action{Kind: history.SetUp, Of: theApp, N: 1}).End(history.Done)
		r.rec.Begin(0, p.name, history.Action{Kind: history.NewCodes, Set: thePaper}).End(history.Done)
	}
}

// watchMachine starts a program that does nothing now and then, until ctx ends, and notes
// how long the slowest took. That tells whether figures say something of the fleet, or of
// what else the machine has to do.
func (r *run) watchMachine(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		if exec.CommandContext(ctx, "true").Run() == nil {
			r.mu.Lock()
			r.slowest = max(r.slowest, time.Since(began))
			r.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// end waits until all clients have ended.
func (r *run) end() {
	r.stop()
	r.working.Wait()
}

// client does one thing after another until ctx ends.
func (r *run) client(ctx context.Context, me int, rng *rand.Rand) {
	for ctx.Err() == nil {
		p, h := r.f.people[rng.IntN(len(r.f.people))], r.f.hosts[rng.IntN(len(r.f.hosts))]
		rest := rand.N(r.pace)
		switch end := r.try(me, p, h, rng); {
		case end.reply == locked:
			r.unlock(me, p, r.f.hosts[rng.IntN(len(r.f.hosts))])
		case end.refused:
			rest = rand.N(pace) // it may be that there is no daemon just now
		}
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
	}
}

// try logs in once, with a code that is right, used, wrong, or on paper.
func (r *run) try(me int, p *person, h *host, rng *rand.Rand) heard {
	var a answer
	action := history.Action{Kind: history.Guess}
	switch n := rng.IntN(100); {
	case n < 55:
		a.code, action = p.next()
	case n < 75:
		a.code, action = p.again()
	case n < 80:
		i := rng.IntN(len(p.backup))
		a, action = answer{p.backup[i], true}, history.Action{Kind: history.BackupCode, Of: thePaper, N: int64(i)}
	default:
		a.code = p.guess()
	}
	began := time.Now()
	end := r.enter(me, p, h, a, action)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, sample{h, began, time.Now(), end})
	return end
}

// enter logs in, and notes it in the history.
func (r *run) enter(me int, p *person, h *host, a answer, action history.Action) heard {
	op := r.rec.Begin(me, p.name, history.Action{Kind: history.Begin, From: thePlace})
	v, end, _ := h.knock(p.name)
	if v == nil {
		op.End(map[bool]history.Outcome{true: history.Refused, false: history.Locked}[end.refused])
		return end
	}
	op.End(history.Asked)
	op = r.rec.Begin(me, p.name, action)
	end, _ = v.give(a)
	p.heard(end.reply)
	switch end.reply {
	case unknown:
		op.Lost()
	case locked: // or it was looked at, and a lock by another login ended this one before it heard
		op.End(history.Unknown)
	default:
		op.End(map[reply]history.Outcome{
			accepted: history.Accepted, wrong: history.Wrong, last: history.LastWrong, used: history.Used, unasked: history.Refused,
		}[end.reply])
	}
	return end
}

// unlock has an administrator unlock somebody.
func (r *run) unlock(me int, p *person, h *host) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	op := r.rec.Begin(me, p.name, history.Action{Kind: history.Unlock})
	if (&wire.Client{Socket: h.control()}).Call(ctx, wire.PostUnlock.For(p.name), nil, nil) != nil {
		op.Lost()
		return
	}
	op.End(history.Done)
}

// next returns the next code of the app. It is the last again where the next is too far
// ahead, or where nobody knows what became of the last: so a person does, and a history with
// few codes that may have been used is looked at quickly.
func (p *person) next() (code string, a history.Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := otp.Step(time.Now(), period)
	if open := p.unsure && p.step > now-6; p.step < now+3 && !open {
		p.step, p.unsure = max(p.step+1, now-1), false
	}
	return p.at(p.step), history.Action{Kind: history.AppCode, Of: theApp, N: p.step}
}

// again returns the code of the app that was shown last.
func (p *person) again() (code string, a history.Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step = max(p.step, otp.Step(time.Now(), period)-2)
	return p.at(p.step), history.Action{Kind: history.AppCode, Of: theApp, N: p.step}
}

// heard notes whether it is known what became of the last code.
func (p *person) heard(r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsure = r == unknown
}

// check ends the test where the history is not one that the model allows.
func (r *run) check(t *testing.T) {
	t.Helper()
	all := r.rec.Take()
	faults := history.NewChecker(history.Params{Failures: 5, OldViews: true}).Add(all)
	for _, f := range faults {
		t.Errorf("seed %d: %v", r.seed, f)
	}
	t.Logf("history: %d operations, %d faults, seed %d", len(all), len(faults), r.seed)
}

// mark notes that something was done to the fleet; see mark.name.
func (r *run) mark(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = append(r.marks, mark{name, time.Now()})
}

// A phase is a part of a run.
type phase struct {
	name              string
	logins            int
	accepted, refused int
	within            int             // of those let in, as long as the phase lasted
	took              []time.Duration // by those that were not refused, sorted
	// refusedUntil is how long after a mark the last login began that was refused. The mark is
	// the newest before the login ended: what ends a fault can refuse a login, too.
	refusedUntil time.Duration
}

// phases returns what clients saw in each phase.
func (r *run) phases() (all []*phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := 0
	slices.SortFunc(r.samples, func(a, b sample) int { return a.began.Compare(b.began) })
	for _, s := range r.samples {
		for next < len(r.marks) && !s.began.Before(r.marks[next].at) {
			if name := r.marks[next].name; name != "" {
				all = append(all, &phase{name: name})
			}
			next++
		}
		if len(all) > 0 {
			all[len(all)-1].add(s, r.markBefore(s.ended), r.phaseEnd(next))
		}
	}
	for _, p := range all {
		slices.Sort(p.took)
	}
	return all
}

// markBefore returns the newest mark before at. r.mu is held.
func (r *run) markBefore(at time.Time) time.Time {
	newest := r.marks[0].at
	for _, m := range r.marks {
		if m.at.Before(at) {
			newest = m.at
		}
	}
	return newest
}

// phaseEnd returns when the phase ends in which the mark before the nth is. r.mu is held.
func (r *run) phaseEnd(n int) time.Time {
	for _, m := range r.marks[n:] {
		if m.name != "" {
			return m.at
		}
	}
	return time.Now()
}

// add counts a login that began behind a mark, in a phase that lasts until end.
func (p *phase) add(s sample, behind, end time.Time) {
	p.logins++
	if s.refused {
		p.refused++
		p.refusedUntil = max(p.refusedUntil, s.began.Sub(behind))
		return
	}
	if s.reply == accepted {
		p.accepted++
		if s.ended.Before(end) {
			p.within++
		}
	}
	p.took = append(p.took, s.ended.Sub(s.began))
}

// String says it for people.
func (p *phase) String() string {
	at := func(share float64) time.Duration {
		if len(p.took) == 0 {
			return 0
		}
		return p.took[int(share*float64(len(p.took)-1))].Round(time.Millisecond)
	}
	return fmt.Sprintf("%-6s %5d logins, %4d let in, %3d refused, the last %5.2f s after the fault; took %v, 99 %% %v, at most %v",
		p.name, p.logins, p.accepted, p.refused, p.refusedUntil.Seconds(), at(.5), at(.99), at(1))
}
