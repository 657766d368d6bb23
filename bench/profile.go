package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"mfa/internal/app"
	"mfa/internal/audit/journal"
	"mfa/internal/config"
)

// profiled is, in the environment, the file that a daemon within this program writes its
// profile to.
const profiled = "MFA_BENCH_PROFILE"

// serveProfiled is mfad with a profile: the same rooms, wired by the same app.
func serveProfiled(path, file string) (err error) {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	level := new(slog.LevelVar)
	a, err := app.New(cfg, app.Options{
		Log: journal.NewLog(os.Stderr, level), Level: level,
		Notify: func(state string) { _, _ = daemon.SdNotify(false, state) },
	})
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return errors.Join(err, a.Close())
	}
	err = a.Run(ctx)
	pprof.StopCPUProfile()
	return errors.Join(err, a.Close())
}

// A share is one line of the table of the profile: samples whose innermost function of
// ours, or of what we use, is like this. The first that fits counts.
type share struct {
	name string
	like *regexp.Regexp
}

var shares = []share{
	{"collector", regexp.MustCompile(`^runtime\.(gc|bgsweep|bgscavenge|markroot|scanobject|sweep|mallocgc|newobject|makeslice|growslice|\(\*mheap|\(\*mcache|\(\*mcentral)`)},
	{"TOML", regexp.MustCompile(`BurntSushi/toml`)},
	{"JSON", regexp.MustCompile(`^encoding/json`)},
	{"log", regexp.MustCompile(`^log/slog|audit/journal`)},
	{"audit", regexp.MustCompile(`mfa/internal/audit`)},
	{"unsealing", regexp.MustCompile(`mfa/internal/seal|x/crypto`)},
	{"database", regexp.MustCompile(`bbolt`)},
	{"store", regexp.MustCompile(`mfa/internal/(store|account)`)},
	{"NSS", regexp.MustCompile(`mfa/internal/host/nss`)},
	{"proof", regexp.MustCompile(`mfa/internal/factor`)},
	{"wire and server", regexp.MustCompile(`mfa/internal/(wire|server)`)},
	{"login and challenge", regexp.MustCompile(`mfa/internal/(login|challenge|enroll|deliver|metrics|app|mfa|host)`)},
	{"network of Go", regexp.MustCompile(`^(net|internal/poll)\.`)},
	{"scheduler", regexp.MustCompile(`^runtime\.`)},
}

// profile lets many users log in twice at a daemon that is profiled, one after another,
// and adds what the processor did in it.
func profile(b *bench) (err error) {
	s, err := b.newSite("profile", min(b.users, players), outbox())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := errors.Join(s.enroll(), s.fill()); err != nil {
		return err
	}
	s.profile = s.path("cpu.pprof")
	if err := s.fresh(); err != nil {
		return err
	}
	logins := 0
	for range passes {
		for first := 0; first < s.users; first += 500 {
			got, err := b.rush(1, min(500, s.users-first), func(n int) (shot, error) { return s.shot("bench-ours", first+n) })
			if err != nil {
				return err
			}
			logins += got.all
		}
	}
	before, err := s.cpu()
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	out, err := exec.Command("go", "tool", "pprof", "-traces", s.profile).Output()
	if err != nil {
		return fmt.Errorf("go tool pprof: %w", err)
	}
	found, total := sharesOf(string(out))
	for _, sh := range slices.Concat(shares, []share{{name: "else"}}) {
		b.group.Rows = append(b.group.Rows, Row{
			Name: "mfad's processor: " + sh.name, Unit: "µs", Median: found[sh.name] / max(total, 1e-9) * micros(before) / float64(logins), N: logins,
		})
	}
	b.group.note("mfad's processor is by a profile of %d logins, one after another, two of three warm: samples go to the innermost function of the named kind. %s.", logins, runtime.Version())
	return nil
}

// A traceLine is the first line of a sample, with its time, or a line of a function.
var traceLine = regexp.MustCompile(`^\s*(?:([\d.]+)(ms|s|us|µs|ns)\s+)?(\S.*)$`)

// sharesOf adds up the samples of "pprof -traces" by kind, in seconds.
func sharesOf(text string) (found map[string]float64, total float64) {
	found = map[string]float64{}
	units := map[string]float64{"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
	for _, trace := range strings.Split(text, "-----------+")[1:] {
		var functions []string
		v := 0.0
		for line := range strings.Lines(trace) {
			m := traceLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil || strings.HasPrefix(m[3], "---") {
				continue
			}
			if m[1] != "" {
				n, _ := strconv.ParseFloat(m[1], 64)
				v = n * units[m[2]]
			}
			functions = append(functions, strings.TrimSuffix(m[3], " (inline)"))
		}
		total += v
		found[kindOf(functions)] += v
	}
	return found, total
}

// kindOf returns the kind of a stack, innermost function first. What allocates counts as
// the collector's, and what only the runtime does as the scheduler's.
func kindOf(functions []string) string {
	if len(functions) > 0 && shares[0].like.MatchString(functions[0]) {
		return shares[0].name
	}
	for _, f := range functions {
		for _, s := range shares[1 : len(shares)-1] {
			if s.like.MatchString(f) {
				return s.name
			}
		}
	}
	if slices.ContainsFunc(functions, shares[0].like.MatchString) {
		return shares[0].name
	}
	if len(functions) > 0 && strings.HasPrefix(functions[0], "runtime.") {
		return "scheduler"
	}
	return "else"
}
