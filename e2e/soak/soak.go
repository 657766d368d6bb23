package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// places is how many stories are told at once at most.
const places = 48

// A soak is one run.
type soak struct {
	options
	w        *world
	people   *people
	carriers *carriers
	desk     desk
	book     *book
	began    time.Time

	busy   sync.WaitGroup // stories under way
	places chan struct{}  // full: no story may begin

	restarts int // so far
}

// A book is what is written down of a run.
type book struct {
	mu      sync.Mutex // guards what follows
	files   []*os.File
	visits  *bufio.Writer
	samples *bufio.Writer
	events  *bufio.Writer
	recent  []*visit // since the last sample
	err     error
	began   time.Time
}

// An event is something beside logins: a line of events.jsonl.
type event struct {
	At    float64 // seconds from the beginning
	What  string
	Took  float64 `json:",omitempty"` // seconds
	Fault string  `json:",omitempty"`
}

func newBook(dir string) (*book, error) {
	b := &book{began: time.Now()}
	for name, into := range map[string]**bufio.Writer{"logins.jsonl": &b.visits, "samples.jsonl": &b.samples, "events.jsonl": &b.events} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		b.files, *into = append(b.files, f), bufio.NewWriter(f)
	}
	return b, nil
}

// line writes a line. The caller holds mu.
func (b *book) line(w *bufio.Writer, v any) {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	b.err = errors.Join(b.err, err)
}

func (b *book) add(v *visit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line(b.visits, v)
	b.recent = append(b.recent, v)
}

// event notes something that began at a time and ended now.
func (b *book) event(what string, began time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := event{At: began.Sub(b.began).Seconds(), What: what, Took: time.Since(began).Seconds()}
	if err != nil {
		e.Fault = err.Error()
	}
	b.line(b.events, e)
}

func (b *book) fault(err error) { b.event("fault", time.Now(), err) }

func (b *book) sample(s sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.logins(b.recent)
	b.recent = nil
	b.line(b.samples, s)
	b.err = errors.Join(b.err, b.samples.Flush(), b.visits.Flush(), b.events.Flush())
}

func (b *book) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range []*bufio.Writer{b.visits, b.samples, b.events} {
		b.err = errors.Join(b.err, w.Flush())
	}
	for _, f := range b.files {
		b.err = errors.Join(b.err, f.Close())
	}
	return b.err
}

// admin runs mfactl while the daemon stays.
func (s *soak) admin(args ...string) error {
	s.w.up.RLock()
	defer s.w.up.RUnlock()
	_, err := s.w.mfactl(args...)
	return err
}

// soak lets people log in until the time is up.
func (o options) soak(said io.Writer) (err error) {
	s := &soak{options: o, people: newPeople(o.users), places: make(chan struct{}, places)}
	if s.w, err = newWorld(o.out, o.programs, s.people.accounts()); err != nil {
		return err
	}
	if s.carriers, err = newCarriers(s.people); err != nil {
		return err
	}
	defer s.carriers.close()
	s.w.settings = s.carriers.settings()
	fmt.Fprintf(said, "seed %d; enrolling %d users\n", o.seed, o.users)
	if err := errors.Join(s.w.configure(), s.people.settle(s.w)); err != nil {
		return err
	}
	if s.book, err = newBook(o.out); err != nil {
		return err
	}
	s.w.turns.Store(1)
	if err := s.w.start(); err != nil {
		return err
	}
	s.began = time.Now()
	s.book.began = s.began
	err = errors.Join(s.note(), s.rest(), os.WriteFile(s.w.path("passphrase"), []byte("correct horse battery staple\n"), 0o600))
	end := make(chan struct{})
	var others sync.WaitGroup
	s.upset(&others, end)
	s.logins()
	close(end)
	others.Wait()
	s.carriers.set(well, well)
	s.busy.Wait()
	s.w.up.Lock()
	defer s.w.up.Unlock()
	err = errors.Join(err, s.rest(), s.w.stop(syscall.SIGTERM), s.book.close())
	return err
}

// logins begins stories at the rate that is asked for, as people come: at random.
func (s *soak) logins() {
	r := rand.New(rand.NewPCG(s.seed, 1))
	timer := time.NewTicker(time.Hour)
	defer timer.Stop()
	for at := s.began; time.Since(s.began) < s.lasts; {
		at = at.Add(time.Duration(r.ExpFloat64() / s.rate * float64(time.Second)))
		if wait := time.Until(at); wait > 0 {
			time.Sleep(wait)
		} else if wait < -time.Minute {
			at = time.Now() // what was missed is not made up for
		}
		s.places <- struct{}{}
		s.begin(r)
	}
}
