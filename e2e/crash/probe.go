package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mfa/internal/app"
	"mfa/internal/config"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// A prober starts a daemon on what a crash left, and logs in.
type prober interface {
	try(dir string, rec *recording, j job, snap *snapshot) error
}

// probes gives each so-and-so-many point a prober.
type probes struct {
	inside, outside int // every so many points; 0: none
	programs        string
	n               int
}

// next returns the prober of the next point, nil if it has none.
func (p *probes) next() prober {
	p.n++
	switch {
	case p.outside > 0 && p.n%p.outside == 0:
		return asProcess{p.programs}
	case p.inside > 0 && p.n%p.inside == 0:
		return inProcess{}
	}
	return nil
}

// asProcess runs the real mfad.
type asProcess struct{ programs string }

func (a asProcess) try(dir string, rec *recording, j job, snap *snapshot) (err error) {
	settings, end := sending(rec.Settings)
	defer end()
	w := &world{dir: dir, programs: a.programs, settings: settings}
	defer w.kill()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("mfad: %v\n%s", r, w.log())
		}
	}()
	w.start()
	return attempts(w, rec, j, snap)
}

// inProcess runs the daemon in this process, at the time of the recording: what an app
// showed then is good by the clock.
type inProcess struct{}

func (inProcess) try(dir string, rec *recording, j job, snap *snapshot) error {
	settings, over := sending(rec.Settings)
	defer over()
	w := &world{dir: dir, settings: settings}
	path, err := w.config()
	if err != nil {
		return err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{
		Log: slog.New(slog.DiscardHandler), Ready: func() { close(ready) },
		Now: func() time.Time { return time.Unix(0, rec.Now) }, Trusted: func() bool { return true },
	})
	if err != nil {
		return fmt.Errorf("mfad does not start: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-ready:
		err = attempts(w, rec, j, snap)
		end()
	case err = <-ended:
		ended <- err
	}
	end()
	return errors.Join(err, <-ended, a.Close())
}

// attempts logs in with all that was used before a point, which nobody may; and then with
// what is good.
func attempts(w *world, rec *recording, j job, snap *snapshot) error {
	for _, f := range rec.Facts {
		if f.What == locked && f.stands(j.k, j.high) {
			if err := w.lockHolds(f.User, rec, j); err != nil {
				return err
			}
		}
	}
	if err := w.nothingTwice(rec, j); err != nil {
		return err
	}
	for _, f := range rec.Facts {
		if f.What != fresh || !f.stands(j.k, j.high) || !snap.enrollments[f.User].Enrolled() {
			continue
		}
		outcome, err := w.attempt(f.User, &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(f.Arg)})
		if err != nil {
			return err
		}
		if outcome != mfa.Accepted {
			return fmt.Errorf("%s did nothing wrong and is not let in: %v", f.User, outcome)
		}
	}
	return nil
}

// nothingTwice returns an error if something that was used before a point lets in again.
func (w *world) nothingTwice(rec *recording, j job) error {
	for _, u := range rec.Used {
		if u.From >= j.k {
			continue
		}
		outcome, err := w.attempt(u.User, &wiretest.Person{Choose: u.By, Code: wiretest.Typing(u.Code, u.Code, u.Code)})
		if err != nil {
			return err
		}
		if outcome == mfa.Accepted || outcome == mfa.Exempt {
			return fmt.Errorf("%s of %s is accepted again", u.By, u.User)
		}
	}
	return nil
}

// attempt is a login of a user who is not locked.
func (w *world) attempt(user string, p *wiretest.Person) (mfa.Outcome, error) {
	if err := w.unlock(user); err != nil {
		return 0, err
	}
	return w.login(visit{user, "sshd", place1}, p, nil)
}

// lockHolds returns an error if a user who is locked gets in with a good code.
func (w *world) lockHolds(user string, rec *recording, j job) error {
	for _, f := range rec.Facts {
		if f.What != fresh || f.User != user || !f.stands(j.k, j.high) {
			continue
		}
		outcome, err := w.login(visit{user, "sshd", place1}, &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(f.Arg, f.Arg)}, nil)
		if err != nil {
			return err
		}
		if outcome == mfa.Accepted {
			return fmt.Errorf("the lock of %s is lost", user)
		}
	}
	return nil
}

// unlock ends what wrong codes led to.
func (w *world) unlock(user string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := wire.Client{Socket: w.path("run/control.sock"), Timeout: patience}
	return c.Call(ctx, wire.PostUnlock.For(user), nil, nil)
}
