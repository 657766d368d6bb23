package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A part is a piece of one login that a Go benchmark of its room measures alone.
type part struct{ name, room, benchmark string }

var parts = []part{
	{"the account in NSS", "./internal/host/nss", "BenchmarkLookup"},
	{"the policy, of five rules", "./internal/login", "BenchmarkPolicy"},
	{"frames of the socket", "./internal/wire", "BenchmarkFrames"},
	{"the enrollment, read", "./internal/store/local", "BenchmarkGetEnrollment/kept"},
	{"the enrollment, parsed", "./internal/account/record", "BenchmarkDecodeEnrollment/kept"},
	{"the state, parsed and written", "./internal/account/record", "BenchmarkState"},
	{"unsealing the secret", "./internal/seal", "BenchmarkOpen"},
	{"the proof (three codes computed)", "./internal/factor/otp", "BenchmarkVerify"},
	{"the commit, synced", "./internal/store/local", "BenchmarkUpdate"},
	{"the audit line", "./internal/audit", "BenchmarkRecord"},
	{"the line of the log", "./internal/audit/journal", "BenchmarkLog"},
}

// where shows where the time of one login goes: by what is measured without the parts
// behind it, by each room's benchmark, and by a profile of the daemon.
func where(b *bench) error {
	serial := b.results.find("serial")
	if serial == nil {
		return errors.New("the group serial was not measured yet: run both")
	}
	empty, two, off := serial.median(rowEmpty), serial.median("empty stack of two modules"), serial.median("pam_mfa, mode off")
	gone, warm := serial.median("pam_mfa, no daemon"), serial.median(rowWarm)
	add := func(name string, v float64, note string) {
		b.group.Rows = append(b.group.Rows, Row{Name: name, Unit: "µs", Median: v, N: 1, Ratio: v / warm, Note: note})
	}
	add("libpam, the client and pam_permit", empty, "measured: an empty stack")
	add("one more module", two-empty, "measured: pam_permit twice, less once")
	add("the module, its line in the system's log, no socket", gone-two, "measured: no daemon, less an empty stack of two")
	add("the socket, both wake-ups, and the daemon's answer", off-gone, "measured: mode off, less no daemon")
	sum := off
	for _, p := range parts {
		v, note, err := p.measure(b.w)
		if err != nil {
			return err
		}
		add("in mfad: "+p.name, v, note)
		sum += v
	}
	add("the rest", warm-sum, "a whole login, less all rows above: prompt and answer, scheduler, collector")
	add("a whole login, warm", warm, "measured, in the group of logins one after another")
	if floor := serial.median(rowFloor); floor > 0 {
		add("of it, what an empty daemon in Go takes too", floor, "measured: "+rowFloor)
		add("of it, mfad's own work", warm-floor, "a whole login, less that of the empty daemon")
	}
	b.group.note("Rows of mfad are Go benchmarks, each alone, so what a part costs in the company of others (cold caches, wake-ups, the collector) is in the rest. Ratios are to the whole login.")
	b.group.mustNotExceed("the module beside the daemon's own time", "≤ 300 µs", gone-empty, 300)
	return profile(b)
}

// median returns the median of a row, 0 if there is none.
func (g *Group) median(name string) float64 {
	if i := slices.IndexFunc(g.Rows, func(r Row) bool { return r.Name == name }); i >= 0 {
		return g.Rows[i].Median
	}
	return 0
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+([\d.]+) ns/op(.*)$`)

// measure runs the benchmark of a part on the disk.
func (p part) measure(w *world) (us float64, note string, err error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^"+strings.ReplaceAll(p.benchmark, "/", "$/^")+"$", "-benchmem", "-count", "3", p.room)
	cmd.Env = append(os.Environ(), "TMPDIR="+w.disk, "GOTMPDIR="+w.disk)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, "", fmt.Errorf("go test %s: %w: %s", p.room, err, out)
	}
	var values []float64
	allocs := ""
	for _, m := range benchmarkLine.FindAllStringSubmatch(string(out), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, "", err
		}
		values = append(values, v/1000)
		if f := strings.Fields(m[2]); len(f) >= 2 {
			allocs = f[len(f)-2] + " allocations"
		}
	}
	if len(values) == 0 {
		return 0, "", fmt.Errorf("%s in %s measured nothing: %s", p.benchmark, p.room, out)
	}
	return quantile(values, 0.5), p.benchmark + ", " + allocs, nil
}
