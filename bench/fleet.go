package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// mostHosts is how many daemons there are at most.
const mostHosts = 16

// zone is how far members are from hosts, and from each other, where they are in the zones of one
// region: what is said takes so long in each direction.
const zone = time.Millisecond

func fleetOfOne(b *bench) error   { return b.fleet(1, 0) }
func fleetOfThree(b *bench) error { return b.fleet(3, 0) }
func fleetAway(b *bench) error    { return b.fleet(3, zone) }

// fleet measures over an etcd of that many members, so far away.
func (b *bench) fleet(members int, away time.Duration) (err error) {
	c, err := b.startCluster(members, away)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	steps, users := []func(*fleet, *bare) error{b.fleetLogins, b.fleetCrowds, b.fleetFollowers, b.fleetSizes}, b.users
	if away > 0 {
		steps, users = steps[:1], b.logins // the others say nothing of a network
	}
	f, err := b.newFleet(c, mostHosts, users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	least, err := f.newBare(min(users, players))
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(f, least); err != nil {
			return err
		}
	}
	b.group.note("Members, daemons and clients share the cores of one machine. A login is from HELLO to DONE on the PAM socket, without libpam, by a client in Go; a bare transaction compares, writes and would read the same as a login, by etcd's client in that process.")
	if away > 0 {
		b.group.note("All that is said to a member, by hosts and by other members, and all that it says takes %v more, as between the zones of a region.", away)
	}
	return nil
}

// fleetLogins measures one login after another, in turns: over etcd, over the store of one
// host, and the bare transaction.
func (b *bench) fleetLogins(f *fleet, least *bare) (err error) {
	here, err := b.newSite(f.c.name+"-local", b.logins, outbox())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, here.stop()) }()
	if err := errors.Join(here.enroll(), here.fill()); err != nil {
		return err
	}
	const rowBare, local, rowCold, rowWarm, rowDecision = "one bare transaction", "a login over the local store, beside it", "a login of a user whom the host has not seen", "a login of a user whom the host knows", "of that, from the answer to the verdict"
	s := samples{}
	for round := range b.rounds {
		if err := errors.Join(f.fresh(1, b.logins), here.fresh()); err != nil {
			return err
		}
		for pass := range passes {
			row := rowWarm
			if pass == 0 {
				row = rowCold
			}
			turns := map[string]func(n int) (float64, error){
				rowBare: func(n int) (float64, error) { took, err := least.transact(n); return micros(took), err },
				row: func(n int) (float64, error) {
					took, err := f.login(0, n)
					if pass > 0 && err == nil {
						s.add(rowDecision, round, micros(took.decision))
					}
					return micros(took.whole), err
				},
				local: func(n int) (float64, error) {
					took, err := here.comeIn(here.codes, n)
					return micros(took.whole), err
				},
			}
			if err := b.inTurns(s, round, turns); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{rowBare, local, rowWarm, rowDecision, rowCold} {
		r := s[name].row(name, "µs")
		r.Ratio = s[name].over(s[rowBare])
		b.group.Rows = append(b.group.Rows, r)
	}
	b.group.mustNotExceed("a login of a known user against one bare transaction", "≤ 1.2 ×", s[rowWarm].over(s[rowBare]), 1.2)
	return nil
}

// inTurns has each of turns done for every user: for some users in a row, as a machine does
// one thing after another, then the next of turns for the same ones.
func (b *bench) inTurns(s samples, round int, turns map[string]func(n int) (float64, error)) error {
	const inARow = 25
	for first := 0; first < b.logins; first += inARow {
		for name, turn := range turns { // in any order
			for n := first; n < min(first+inARow, b.logins); n++ {
				v, err := turn(n)
				if err != nil {
					return err
				}
				s.add(name, round, v)
			}
		}
	}
	return nil
}

// atOnce is how many clients there are in a crowd.
const atOnce = 64

// crowdOf lets atOnce clients share n turns, and returns turns a second.
func crowdOf(n int, turn func(n int) error) (rate float64, err error) {
	errs := make([]error, atOnce)
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for i := range errs {
		all.Go(func() {
			for at := int(next.Add(1)) - 1; at < n && errs[i] == nil; at = int(next.Add(1)) - 1 {
				errs[i] = turn(at)
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds(), errors.Join(errs...)
}

// fleetCrowds measures logins a second with more and more daemons, and bare transactions.
// Each user keeps to one daemon, as people do.
func (b *bench) fleetCrowds(f *fleet, least *bare) error {
	n := min(b.users, players)
	s := samples{}
	rowBare := fmt.Sprintf("bare transactions, %d at once", atOnce)
	name := func(hosts int) string { return fmt.Sprintf("logins, %d at once, %d daemons", atOnce, hosts) }
	sizes := []int{1, 4, mostHosts}
	for round := range b.rounds {
		for _, hosts := range sizes {
			if err := f.fresh(hosts, n); err != nil {
				return err
			}
			for pass := range 2 { // in the first the hosts come to know the users
				rate, err := f.crowd(hosts, 0, n)
				if err != nil {
					return err
				}
				if pass > 0 {
					s.add(name(hosts), round, rate)
				}
			}
		}
		rate, err := crowdOf(n, func(n int) error { _, err := least.transact(n); return err })
		if err != nil {
			return err
		}
		s.add(rowBare, round, rate)
	}
	for _, row := range []string{rowBare, name(sizes[0]), name(sizes[1]), name(sizes[2])} {
		r := s[row].row(row, "a second")
		r.Ratio = s[row].over(s[rowBare])
		b.group.Rows = append(b.group.Rows, r)
	}
	return nil
}

// mostFollowers is how many hosts follow what one writes.
const mostFollowers = 200

// fleetFollowers measures what a login costs while other hosts follow, and while none do.
func (b *bench) fleetFollowers(f *fleet, _ *bare) error {
	s := samples{}
	name := func(what string, followers int) string {
		return fmt.Sprintf("%s, %d hosts follow", what, followers)
	}
	counts := []int{0, mostFollowers}
	for round := range b.rounds {
		for _, n := range counts {
			if err := b.followed(f, n, func(what string, v float64) { s.add(name(what, n), round, v) }); err != nil {
				return err
			}
		}
	}
	for _, what := range []struct{ name, unit string }{{"a login", "µs"}, {"etcd's processor for a login", "µs"}, {"what a login sends to each host", "bytes"}} {
		for _, n := range counts {
			row := name(what.name, n)
			if s[row] == nil {
				continue
			}
			r := s[row].row(row, what.unit)
			if n > 0 && s[name(what.name, 0)] != nil {
				r.Ratio = s[row].over(s[name(what.name, 0)])
			}
			b.group.Rows = append(b.group.Rows, r)
		}
	}
	b.group.note("Hosts that follow are so many watches over a connection each, in one process; those of several members are spread over them. Ratios there are to a login that nobody follows.")
	return nil
}

// followed measures logins while that many hosts follow.
func (b *bench) followed(f *fleet, followers int, add func(what string, v float64)) (err error) {
	if err := f.fresh(1, b.logins); err != nil {
		return err
	}
	fl, err := f.follow(followers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fl.stop()) }()
	for n := range b.logins { // the host comes to know them
		if _, err := f.login(0, n); err != nil {
			return err
		}
	}
	sent, err := f.c.sent()
	if err != nil {
		return err
	}
	spent, err := f.c.cpu()
	if err != nil {
		return err
	}
	for n := range b.logins {
		took, err := f.login(0, n)
		if err != nil {
			return err
		}
		add("a login", micros(took.whole))
	}
	time.Sleep(settle)
	spentAfter, err := f.c.cpu()
	if err != nil {
		return err
	}
	sentAfter, err := f.c.sent()
	logins := float64(b.logins)
	add("etcd's processor for a login", micros(spentAfter-spent)/logins)
	if followers > 0 {
		add("what a login sends to each host", (sentAfter-sent)/logins/float64(followers))
	}
	return err
}

// fleetSizes notes what memory and disk a fleet takes, and how long a daemon takes to start.
func (b *bench) fleetSizes(f *fleet, _ *bare) error {
	s := samples{}
	row := "a start of mfad"
	for round := range b.rounds {
		if err := f.stop(); err != nil {
			return err
		}
		began := time.Now()
		if err := f.hosts[0].start(); err != nil {
			return err
		}
		s.add(row, round, time.Since(began).Seconds()*1000)
	}
	b.group.Rows = append(b.group.Rows, s[row].row(row, "ms"))
	note := func(what, unit string, v float64, note string) {
		b.group.Rows = append(b.group.Rows, Row{Name: what, Unit: unit, Median: v, N: 1, Note: note})
	}
	note("mfad's memory at rest", "MiB", f.hosts[0].memory("VmRSS"), "")
	some := min(f.users, 5*players)
	if err := f.fresh(1, some); err != nil {
		return err
	}
	for first := 0; first < some; first += players {
		if _, err := f.crowd(1, first, min(first+players, some)); err != nil {
			return err
		}
	}
	note(fmt.Sprintf("mfad's memory after a login of each of %d users", some), "MiB", f.hosts[0].memory("VmRSS"), "")
	listed, err := f.hosts[0].lists("users")
	if err != nil {
		return err
	}
	b.group.Rows = append(b.group.Rows, listed)
	for i := range f.c.members {
		note(fmt.Sprintf("memory of member %d", i+1), "MiB", f.c.memory(i), "")
	}
	return f.databaseRows(note)
}
