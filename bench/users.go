package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// manyUsers measures what grows with the number of enrolled users: a store of few and one
// of many, whose states are all filled, in turns.
func manyUsers(b *bench) (err error) {
	began := time.Now()
	few, err := b.newSite("few", b.logins, outbox())
	if err != nil {
		return err
	}
	many, err := b.newSite("many", b.users, outbox())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, few.stop(), many.stop()) }()
	if err := errors.Join(few.enroll(), few.fill(), many.enroll(), many.fill()); err != nil {
		return err
	}
	b.group.note("Making %d users, each of whom logged in once: %.0f s.", b.users, time.Since(began).Seconds())
	for _, step := range []func(few, many *site) error{b.sameTime, b.starts, b.memories} {
		if err := step(few, many); err != nil {
			return err
		}
	}
	return nil
}

// sameTime lets the same users log in at both, in turns.
func (b *bench) sameTime(few, many *site) error {
	s := samples{}
	for _, site := range []*site{few, many} {
		if err := service("bench-"+filepath.Base(site.dir), site.stack("")); err != nil {
			return err
		}
	}
	name := func(site *site, pass int) string {
		if pass == 0 {
			return fmt.Sprintf("a login, %d users, cold", site.users)
		}
		return fmt.Sprintf("a login, %d users, warm", site.users)
	}
	for round := range b.rounds {
		if err := errors.Join(few.fresh(), many.fresh()); err != nil {
			return err
		}
		for i := range passes * b.logins {
			pass, n := i/b.logins, i%b.logins
			for _, site := range []*site{few, many} {
				next := func(n int) (shot, error) { return site.shot("bench-"+filepath.Base(site.dir), n) }
				got, err := b.attempt(next, n, false, pamSuccess)
				if err != nil {
					return err
				}
				s.add(name(site, pass), round, micros(got.wall))
			}
		}
	}
	for _, pass := range []int{0, 1} {
		base := s[name(few, pass)]
		for _, site := range []*site{few, many} {
			r := s[name(site, pass)].row(name(site, pass), "µs")
			r.Ratio = s[name(site, pass)].over(base)
			b.group.Rows = append(b.group.Rows, r)
		}
		word := "cold"
		if pass > 0 {
			word = "warm"
		}
		b.group.mustNotExceed(fmt.Sprintf("a login with %d users against %d, %s", many.users, few.users, word), "≤ 1.1 ×", s[name(many, pass)].over(base), 1.1)
	}
	return nil
}

// starts measures how long the daemon takes to be ready, with what it reads in memory and
// without.
func (b *bench) starts(_, many *site) error {
	s := samples{}
	for round := range b.rounds {
		for _, kind := range []string{"warm", "cold"} {
			if err := many.stop(); err != nil {
				return err
			}
			if kind == "cold" && !b.memory { // it is the whole machine's, and a trial has no need of it
				unix.Sync()
				if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
					return err
				}
			}
			began := time.Now()
			if err := many.start(); err != nil {
				return err
			}
			s.add("a start of mfad, "+kind, round, time.Since(began).Seconds()*1000)
		}
	}
	for _, kind := range []string{"warm", "cold"} {
		name := "a start of mfad, " + kind
		b.group.Rows = append(b.group.Rows, s[name].row(name, "ms"))
		b.group.mustNotExceed(fmt.Sprintf("%s, %d users", name, many.users), "< 1000 ms", s[name].median(), 1000)
	}
	b.group.note("Before a cold start the kernel drops its caches (/proc/sys/vm/drop_caches).")
	return nil
}

// memories measures the daemon's memory at rest, after many logins, and while it lists.
func (b *bench) memories(few, many *site) error {
	if err := errors.Join(b.recordSizes(many), few.fresh()); err != nil {
		return err
	}
	b.group.Rows = append(b.group.Rows, Row{Name: fmt.Sprintf("mfad's memory at rest, %d users", few.users), Unit: "MiB", Median: few.memory("VmRSS"), N: 1})
	worst := 0.0
	note := func(name, field string) {
		v := many.memory(field)
		worst = max(worst, v)
		b.group.Rows = append(b.group.Rows, Row{
			Name: "mfad's memory " + name, Unit: "MiB", Median: v, N: 1,
			Note: fmt.Sprintf("%.0f MiB of it mapped from files", many.memory("RssFile")),
		})
	}
	time.Sleep(settle)
	note("at rest", "VmRSS")
	logins, began := cmp.Or(b.again, 10*many.users), time.Now()
	for done := 0; done < logins; {
		var shots []shot
		for range min(20_000, logins-done) {
			shots = append(shots, shot{"bench-remembered", userName(done % many.users), ""})
			done++
		}
		if _, err := b.client.all(64, shots); err != nil {
			return err
		}
	}
	took := time.Since(began)
	time.Sleep(settle)
	note(fmt.Sprintf("after %d remembered logins, 64 at once (%.0f a second)", logins, float64(logins)/took.Seconds()), "VmRSS")
	for _, verb := range [][]string{{"users"}, {"sessions", "list"}} {
		// 5 sets the peak back to what is resident now: proc_pid_clear_refs(5).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", many.cmd.Process.Pid), []byte("5"), 0); err != nil {
			return err
		}
		row, err := many.lists(verb...)
		if err != nil {
			return err
		}
		b.group.Rows = append(b.group.Rows, row)
		note("at most, during mfactl "+fmt.Sprint(verb), "VmHWM")
	}
	b.group.mustNotExceed(fmt.Sprintf("mfad's memory, %d users", many.users), "< 100 MiB", worst, 100)
	return b.auditLines(many)
}

// recordSizes says how large the records are of which there are many.
func (b *bench) recordSizes(many *site) error {
	var state int64
	err := filepath.WalkDir(many.path("copy"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			state += info.Size()
		}
		return err
	})
	enrollment, statErr := os.Stat(filepath.Join(many.path("store/users"), userName(0)+".toml"))
	if err := errors.Join(err, statErr); err != nil {
		return err
	}
	b.group.Rows = append(b.group.Rows,
		Row{Name: "the file of one enrollment", Unit: "bytes", Median: float64(enrollment.Size()), N: 1},
		Row{
			Name: "what is remembered on the disk, for each user", Unit: "bytes", Median: float64(state) / float64(many.users), N: many.users,
			Note: fmt.Sprintf("%.1f MiB in all; each has a remembered login", float64(state)/(1<<20)),
		})
	return nil
}

// lists runs a listing and says what it took.
func (s *site) lists(verb ...string) (Row, error) {
	before, err := s.cpu()
	if err != nil {
		return Row{}, err
	}
	began := time.Now()
	cmd := exec.Command(filepath.Join(s.b.w.build, "mfactl"), append([]string{"--socket", s.socket("control.sock")}, verb...)...)
	out, err := cmd.Output()
	if err != nil {
		return Row{}, fmt.Errorf("mfactl %v: %w", verb, err)
	}
	took := time.Since(began)
	after, err := s.cpu()
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return Row{
		Name: fmt.Sprintf("mfactl %v, %d lines", verb, bytes.Count(out, []byte("\n"))), Unit: "s", Median: took.Seconds(), N: 1,
		Note: fmt.Sprintf("processor: mfad %.2f s, mfactl %.2f s; mfactl's memory %d MiB",
			(after - before).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), usage.Maxrss/1024),
	}, err
}

// auditLines says what the audit file grows by.
func (b *bench) auditLines(s *site) error {
	text, err := os.ReadFile(s.path("audit.jsonl"))
	if err != nil {
		return err
	}
	lines := bytes.Count(text, []byte("\n"))
	each := float64(len(text)) / float64(lines)
	b.group.Rows = append(b.group.Rows, Row{
		Name: "a line of the audit file", Unit: "bytes", Median: each, N: lines,
		Note: fmt.Sprintf("1,000 logins a day are %.0f MiB a year, 100,000 are %.1f GiB; logrotate keeps 52 weeks, all but two of them compressed", each*1000*365/(1<<20), each*100_000*365/(1<<30)),
	})
	return nil
}
