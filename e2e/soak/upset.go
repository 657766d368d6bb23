package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// part is a share of a run of two hours: a time of that run, for one that lasts as long
// as this one.
func (o options) part(of time.Duration) time.Duration {
	return time.Duration(float64(of) * float64(o.lasts) / float64(2*time.Hour))
}

// every calls do until the end, at times that are so far apart, in a run of two hours.
func (s *soak) every(wg *sync.WaitGroup, end <-chan struct{}, of, least time.Duration, do func(n int)) {
	wg.Go(func() {
		t := time.NewTicker(max(s.part(of), least))
		defer t.Stop()
		for n := 0; ; n++ {
			select {
			case <-end:
				return
			case <-t.C:
				do(n)
			}
		}
	})
}

// upset has all happen that is not a login.
func (s *soak) upset(wg *sync.WaitGroup, end <-chan struct{}) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	s.every(wg, end, 10*time.Second, time.Second, func(int) {
		if err := s.measure(false); err != nil {
			s.book.fault(err)
		}
	})
	s.every(wg, end, 0, time.Second/2, s.probe)
	s.every(wg, end, time.Minute, 2*time.Second, s.reload)
	s.every(wg, end, 5*time.Minute, 2*time.Second, s.restart)
	s.every(wg, end, 20*time.Minute, 11*time.Second, func(int) { s.does("key", "rotate", "--yes") })
	s.every(wg, end, 15*time.Minute, 9*time.Second, s.backup)
	s.every(wg, end, 10*time.Minute, 7*time.Second, s.rotate)
	s.every(wg, end, 20*time.Second, 3*time.Second, s.looks)
	s.every(wg, end, 45*time.Second, 2*time.Second, func(int) { s.moods(r) })
}

// stall is an event: the machine could not do what it is for. The disk took seconds for one
// write, or too many processes waited for each core.
const (
	stall     = "stall"
	slowWrite = 2 * time.Second
	crowded   = 8 // processes a core
)

// probe writes a block as mfad does, and looks how many processes wait.
func (s *soak) probe(int) {
	began := time.Now()
	f, err := os.OpenFile(s.w.path("probe"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, 512))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	var load float64
	text, readErr := os.ReadFile("/proc/loadavg")
	_, scanErr := fmt.Sscan(string(text), &load)
	err = errors.Join(err, readErr, scanErr)
	if err != nil || time.Since(began) > slowWrite || load > crowded*float64(runtime.NumCPU()) {
		s.book.event(stall, began, err)
	}
}

// does runs mfactl and notes it.
func (s *soak) does(args ...string) {
	began := time.Now()
	s.book.event("mfactl "+args[0], began, s.admin(args...))
}

// reload has the daemon read a configuration: another one, and each fifth time one that it
// must refuse.
func (s *soak) reload(n int) {
	s.w.up.RLock()
	defer s.w.up.RUnlock()
	began := time.Now()
	more := []string{fmt.Sprintf("email.subject = 'Code %d'", n%2)}
	if n%5 == 4 {
		more = append(more, "no.such.key = 1")
	}
	err := s.w.configure(more...)
	if err == nil {
		err = s.w.cmd.Process.Signal(syscall.SIGHUP)
	}
	s.book.event("reload", began, err)
}

// quiet are the stretches of a run of two hours in which the daemon is not restarted, so
// that what grows slowly shows.
var quiet = [][2]time.Duration{{40 * time.Minute, 75 * time.Minute}, {80*time.Minute + time.Second, 2 * time.Hour}}

// restart ends the daemon, by turns as systemd does and as a crash does, and starts it.
func (s *soak) restart(int) {
	at := time.Since(s.began)
	for _, q := range quiet {
		if at >= s.part(q[0]) && at < s.part(q[1]) {
			return
		}
	}
	signal, what := syscall.SIGTERM, "stop"
	if s.restarts++; s.restarts%2 == 0 {
		signal, what = syscall.SIGKILL, "kill"
	}
	for late := time.Now().Add(4 * time.Minute); !s.w.up.TryLock(); time.Sleep(100 * time.Millisecond) { // a Lock would keep administrators waiting
		if time.Now().After(late) {
			return
		}
	}
	defer s.w.up.Unlock()
	began := time.Now()
	err := s.w.stop(signal)
	if err == nil {
		err = s.w.configure()
	}
	if err == nil {
		err = s.w.start()
	}
	s.book.event(what, began, err)
}

func (s *soak) backup(int) {
	name := s.w.path("mfa.age")
	_ = os.Remove(name)
	s.does("backup", name, "--passphrase-file", s.w.path("passphrase"))
}

// rotate moves the audit file away, as logrotate does.
func (s *soak) rotate(n int) {
	began := time.Now()
	s.book.event("rotate", began, os.Rename(s.w.path("audit/audit.jsonl"), filepath.Join(s.w.dir, fmt.Sprintf("../audit-%03d.jsonl", n))))
}

// looks has an administrator look at something.
func (s *soak) looks(n int) {
	name := s.people.all[n*37%len(s.people.all)].name
	all := [][]string{
		{"status", "--json"}, {"show", name, "--json"}, {"sessions", "list", name}, {"users", "--json"}, {"explain", name, "--service", "sshd", "--rhost", "203.0.113.7"},
	}
	s.does(all[n%len(all)]...)
}

// moods changes how the carriers are: mostly well.
func (s *soak) moods(r *rand.Rand) {
	post, phones := well, well
	if r.IntN(5) < 2 {
		post = mood(r.IntN(int(moods)))
	}
	if r.IntN(5) < 2 {
		phones = mood(r.IntN(int(moods)))
	}
	s.carriers.set(post, phones)
	s.book.event(fmt.Sprintf("carriers %v %v", post, phones), time.Now(), nil)
}
