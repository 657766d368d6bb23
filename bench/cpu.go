package main

import (
	"errors"
	"time"
)

// settle is how long the daemon has for what it does behind a verdict.
const settle = 200 * time.Millisecond

// processor measures the processor time of logins, one after another: that of the process
// that logs in, and the daemon's. Each candidate has the daemon for itself meanwhile.
func processor(b *bench) (err error) {
	ours, err := b.newSite("cpu", b.logins, outbox())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	google, err := newGoogle(b.w, b.logins)
	if err := errors.Join(err, ours.enroll(), ours.fill()); err != nil {
		return err
	}
	least, err := startFloor(b.w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, least.stop()) }()
	s := samples{}
	for round := range b.rounds {
		if err := errors.Join(google.fresh(b.logins), ours.fresh()); err != nil {
			return err
		}
		for pass := range passes {
			name := rowWarm
			if pass == 0 {
				name = rowCold
			}
			module, daemon, err := b.spent(ours.cpu, func(n int) (shot, error) { return ours.shot("bench-ours", n) })
			if err != nil {
				return err
			}
			s.add(name+": module and libpam", round, module)
			s.add(name+": mfad", round, daemon)
			s.add(name+": both", round, module+daemon)
			whole, _, err := b.spent(ours.cpu, google.shot)
			if err != nil {
				return err
			}
			s.add(rowGoogle, round, whole)
			if module, daemon, err = b.spent(least.cpu, fixed("bench-floor", 0, "123456")); err != nil {
				return err
			}
			s.add(rowFloor, round, module+daemon)
		}
	}
	for _, name := range s.names() {
		r := s[name].row(name, "µs")
		r.Ratio = s[name].over(s[rowGoogle])
		b.group.Rows = append(b.group.Rows, r)
	}
	b.group.mustNotExceed("processor of a login, warm, against google-authenticator", "≤ 1 ×", s[rowWarm+": both"].over(s[rowGoogle]), 1)
	b.group.note("The mean of %d logins in a row, by CLOCK_PROCESS_CPUTIME_ID of the process that logs in and of mfad.", b.logins)
	return nil
}

// spent lets everybody log in once, and returns the mean processor time of a login in
// microseconds: in its process, and in the daemon, whose time so far of returns.
func (b *bench) spent(of func() (time.Duration, error), next func(n int) (shot, error)) (module, daemon float64, err error) {
	before, err := of()
	if err != nil {
		return 0, 0, err
	}
	for n := range b.logins {
		got, err := b.attempt(next, n, false, pamSuccess)
		if err != nil {
			return 0, 0, err
		}
		module += micros(got.cpu)
	}
	time.Sleep(settle)
	after, err := of()
	count := float64(b.logins)
	return module / count, micros(after-before) / count, err
}
