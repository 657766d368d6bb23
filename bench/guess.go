package main

import (
	"errors"
	"fmt"
	"time"
)

// guesses measures what wrong codes cost the one who guesses, and the daemon: at one
// account, which is soon locked, and at many.
func guesses(b *bench) (err error) {
	s, err := b.newSite("guess", max(b.logins, b.guess/4), outbox())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := errors.Join(s.services(), s.enroll(), s.start()); err != nil {
		return err
	}
	worst := 0.0
	for _, kind := range []struct {
		name string
		user func(i int) int
	}{
		{"at one account", func(int) int { return s.guessed() }},
		{"at many accounts, until each is locked", func(i int) int { return i % s.users }},
	} {
		before, err := s.cpu()
		if err != nil {
			return err
		}
		var guesser time.Duration
		tries, began := b.guess, time.Now()
		for i := range tries {
			got, err := b.client.login(shot{"bench-ours", userName(kind.user(i)), fmt.Sprintf("%06d", i*7919%1000000)}, false)
			if err != nil {
				return err
			}
			if got.code == pamSuccess {
				continue // one in a million guesses is right
			}
			guesser += got.cpu
		}
		took := time.Since(began)
		time.Sleep(settle)
		after, err := s.cpu()
		if err != nil {
			return err
		}
		ratio := (after - before).Seconds() / guesser.Seconds()
		worst = max(worst, ratio)
		b.group.Rows = append(b.group.Rows,
			Row{
				Name: fmt.Sprintf("%d logins with wrong codes %s: mfad", tries, kind.name), Unit: "s of processor", Median: (after - before).Seconds(), N: 1,
				Note: fmt.Sprintf("%.2f × the guesser's; all took %.1f s", ratio, took.Seconds()),
			},
			Row{Name: fmt.Sprintf("%d logins with wrong codes %s: the guesser", tries, kind.name), Unit: "s of processor", Median: guesser.Seconds(), N: 1})
	}
	b.group.mustNotExceed("failed guesses: our processor against the guesser's", "≤ 0.5 ×", worst, 0.5)
	b.group.note("A login is pam_start, pam_authenticate with a wrong code at each prompt, and pam_end. The guesser's is the processor time of its process.")
	return nil
}
