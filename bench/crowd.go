package main

import (
	"errors"
	"fmt"
	"time"
)

// players is how many users of many log in at once.
const players = 2000

// A rush is what one crowd measured.
type rush struct {
	rate         float64 // logins a second
	latency      []float64
	cpu          float64 // microseconds of a login in its process
	refused, all int
}

// rush lets the users 0 to n-1 log in, that many at once.
func (b *bench) rush(processes, n int, next func(int) (shot, error)) (r rush, err error) {
	calm(min(10*time.Second, time.Second+time.Duration(n)*5*time.Millisecond))
	shots := make([]shot, n)
	for i := range shots {
		if shots[i], err = next(i); err != nil {
			return r, err
		}
	}
	each, all, err := b.client.crowd(processes, shots)
	for _, t := range each {
		r.latency = append(r.latency, micros(t.wall))
		r.cpu += micros(t.cpu) / float64(n)
		if t.code != pamSuccess {
			r.refused++
		}
	}
	r.rate, r.all = float64(n)/all.Seconds(), n
	return r, err
}

// A rushed is a row of crowds before it is summed up.
type rushed struct {
	rate    sample
	latency sample
	cpu     sample
	refused int
}

func (r *rushed) add(round int, got rush, daemon time.Duration) {
	rows := samples{"rate": r.rate, "latency": r.latency, "cpu": r.cpu}
	rows.add("rate", round, got.rate)
	for _, v := range got.latency {
		rows.add("latency", round, v)
	}
	rows.add("cpu", round, got.cpu+micros(daemon)/float64(got.all))
	r.rate, r.latency, r.cpu = rows["rate"], rows["latency"], rows["cpu"]
	r.refused += got.refused
}

func (r *rushed) spread() float64 { return quantile(r.latency.all(), 0.99) / r.latency.median() }

// crowds measures 64 and 256 logins at once, ours and google-authenticator's in turns.
func crowds(b *bench) (err error) {
	n := min(b.users, players)
	ours, err := b.newSite("crowd", b.users, outbox())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	google, err := newGoogle(b.w, n)
	if err := errors.Join(err, ours.enroll(), ours.fill()); err != nil {
		return err
	}
	least, err := startFloor(b.w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, least.stop()) }()
	for _, processes := range []int{64, 256} {
		var empty, peer, cold, warm rushed
		for round := range b.rounds {
			if err := errors.Join(google.fresh(n), ours.fresh()); err != nil {
				return err
			}
			for pass := range passes {
				mine := &warm
				if pass == 0 {
					mine = &cold
				}
				if err := b.crowdPass(round, processes, n, &empty, &peer, mine, google, ours); err != nil {
					return err
				}
			}
		}
		b.crowdRows(processes, &empty, &peer, &cold, &warm)
	}
	b.group.note("%d users of %d, three times each a round; at once are so many processes, each with its own libpam, on the cores that there are. Processor is that of a login's process and of mfad together.", n, b.users)
	return nil
}

// crowdPass lets everybody log in once at each of the two.
func (b *bench) crowdPass(round, processes, n int, empty, peer, mine *rushed, google *google, ours *site) error {
	got, err := b.rush(processes, n, fixed("bench-floor", 0, "123456"))
	if err != nil {
		return err
	}
	empty.add(round, got, 0)
	if got, err = b.rush(processes, n, google.shot); err != nil {
		return err
	}
	peer.add(round, got, 0)
	before, err := ours.cpu()
	if err != nil {
		return err
	}
	got, err = b.rush(processes, n, func(n int) (shot, error) { return ours.shot("bench-ours", n) })
	if err != nil {
		return err
	}
	after, err := ours.cpu()
	mine.add(round, got, after-before)
	return err
}

// crowdRows sums up the crowds of one size.
func (b *bench) crowdRows(processes int, empty, peer, cold, warm *rushed) {
	refused := 0
	for _, r := range []struct {
		name string
		*rushed
	}{{rowFloor, empty}, {rowGoogle, peer}, {rowCold, cold}, {rowWarm, warm}} {
		row := r.rate.row(fmt.Sprintf("%d at once: %s", processes, r.name), "logins/s")
		row.Ratio = r.rate.over(peer.rate)
		row.Note = fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, processor %.0f µs a login, %d refused",
			r.latency.median()/1000, quantile(r.latency.all(), 0.99)/1000, r.cpu.median(), r.refused)
		b.group.Rows = append(b.group.Rows, row)
		if r.rushed == cold || r.rushed == warm {
			refused += r.refused
		}
	}
	name := fmt.Sprintf("%d at once", processes)
	if processes == 64 {
		b.group.mustReach(name+", warm, rate against google-authenticator", "≥ 2.5 ×", warm.rate.over(peer.rate), 2.5)
		b.group.mustReach(name+", cold, rate against google-authenticator", "≥ 1.2 ×", cold.rate.over(peer.rate), 1.2)
		b.atOnce = warm.rate
	} else {
		b.group.mustReach(name+", warm, rate against that of 64", "≥ 1 ×", warm.rate.over(b.atOnce), 1)
	}
	b.group.mustNotExceed(name+", warm, p99 against p50", "≤ 3 ×", warm.spread(), 3)
	b.group.mustNotExceed(name+", refused", "0", float64(refused), 0)
}
