package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// A sample is what was seen of the daemon at one time: a line of samples.jsonl.
type sample struct {
	At   float64 // seconds from the beginning
	Age  float64 // seconds since the daemon's start
	Rest bool    `json:",omitempty"` // nobody was logging in, and nothing was on its way

	RSS, HeapAlloc, HeapInUse, NextGC, Sys float64 // bytes
	Goroutines, Threads, FDs               float64
	StoreFiles, StoreBytes, State          float64
	OtherFiles                             float64 // under the folder, beside the store and the audit file
	AuditBytes                             float64 // of all its parts
	CPU                                    float64 // seconds since the daemon's start
	Underway, Pending                      float64
	Mails, Texts                           int64

	First, Last           [3]float64 `json:",omitempty"` // median, 99th percentile and most, in µs
	Outcomes              map[string]int
	Quick, Total, Strange int

	rate float64 // logins a second, since the sample before
}

// logins sums up the visits since the last sample.
func (s *sample) logins(all []*visit) {
	s.Outcomes = map[string]int{}
	var first, last []float64
	for _, v := range all {
		s.Total++
		key := v.End
		if v.End == done {
			key = v.Outcome
		}
		s.Outcomes[key]++
		if v.Strange != "" {
			s.Strange++
		}
		if v.Quick && v.End == done && v.Outcome == mfa.Accepted.String() {
			s.Quick++
			first = append(first, float64(v.First.Microseconds()))
			if v.Service != rememberService {
				last = append(last, float64(v.Last.Microseconds()))
			}
		}
	}
	for i, q := range []float64{0.5, 0.99, 1} {
		s.First[i], s.Last[i] = quantile(first, q), quantile(last, q)
	}
}

// quantile returns the value below which q of the values lie.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// note writes what the run is.
func (s *soak) note() error {
	version, err := exec.Command(filepath.Join(s.programs, "mfad"), "--version").Output()
	if err != nil {
		return err
	}
	text, err := json.Marshal(plan{s.seed, s.lasts.Seconds(), s.rate, s.users, s.began, strings.TrimSpace(string(version))})
	return errors.Join(err, os.WriteFile(filepath.Join(s.out, "run.json"), text, 0o600))
}

// rest waits until nothing goes on, and takes a sample. The caller holds up, and nobody
// begins anything.
func (s *soak) rest() error {
	late := time.Now().Add(2 * patience)
	for ; ; time.Sleep(100 * time.Millisecond) {
		m, err := scrape()
		if err != nil {
			return err
		}
		if m["mfa_conversations"]+pending(m) == 0 {
			return s.measure(true)
		}
		if time.Now().After(late) {
			return fmt.Errorf("%v logins and %v messages never end", m["mfa_conversations"], pending(m))
		}
	}
}

// pending is how many messages are on their way.
func pending(m map[string]float64) (n float64) {
	for name, v := range m {
		if strings.HasPrefix(name, "mfa_sends_pending") {
			n += v
		}
	}
	return n
}

// measure takes a sample.
func (s *soak) measure(rest bool) error {
	pid := s.w.pid.Load()
	v := sample{
		At: time.Since(s.began).Seconds(), Rest: rest, Underway: float64(s.desk.underway.Load()),
		Mails: s.carriers.mails.Load(), Texts: s.carriers.texts.Load(),
	}
	m, err := scrape()
	if err != nil && s.w.turns.Load()%2 == 1 {
		return nil // it is down
	}
	if err != nil {
		return err
	}
	v.HeapAlloc, v.HeapInUse, v.NextGC, v.Sys = m["go_memstats_heap_alloc_bytes"], m["go_memstats_heap_inuse_bytes"], m["go_memstats_next_gc_bytes"], m["go_memstats_sys_bytes"]
	v.Goroutines, v.Threads, v.CPU = m["go_goroutines"], m["go_threads"], m["process_cpu_seconds_total"]
	v.RSS, v.FDs, v.Age = m["process_resident_memory_bytes"], m["process_open_fds"], float64(time.Now().UnixMilli())/1000-m["process_start_time_seconds"]
	v.Pending = pending(m)
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		v.FDs = float64(len(fds))
	}
	s.files(&v)
	s.book.sample(v)
	return nil
}

// files counts what lies on the disk. A file that goes away meanwhile does not count.
func (s *soak) files(v *sample) {
	_ = filepath.WalkDir(s.out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		size := float64(info.Size())
		switch {
		case strings.HasPrefix(path, s.w.path("store")):
			v.StoreFiles++
			if d.Name() == "state.db" {
				size = used(path, size)
				v.State = size
			}
			v.StoreBytes += size
		case strings.HasPrefix(d.Name(), "audit"):
			v.AuditBytes += size
		case strings.HasPrefix(path, s.w.dir):
			v.OtherFiles++
		}
		return nil
	})
	for _, dir := range []string{"/run", own, own + "/tmp"} {
		entries, _ := os.ReadDir(dir)
		v.OtherFiles += float64(len(entries))
	}
}

// used returns how much of a bbolt database of that size was ever used: its file is made
// larger by doubling it. The mark is in the newer one of the two pages at its beginning
// (bbolt, internal/common/meta.go): a head of 16 bytes, and at 40 and 48 of what follows the
// number of pages and that of the transaction.
func used(name string, size float64) float64 {
	const page, head, pagesAt, transactionAt = 4096, 16, 40, 48
	text := make([]byte, 2*page)
	f, err := os.Open(name)
	if err != nil {
		return size
	}
	defer f.Close()
	if _, err := io.ReadFull(f, text); err != nil {
		return size
	}
	at := func(meta, off int) uint64 { return binary.NativeEndian.Uint64(text[meta*page+head+off:]) }
	newer := 0
	if at(1, transactionAt) > at(0, transactionAt) {
		newer = 1
	}
	return min(size, page*float64(at(newer, pagesAt)))
}

// metricsAt is the address of the metrics, of which the name is nobody's.
const metricsAt = "http://mfad/metrics"

var metricsClient = &http.Client{Timeout: patience, Transport: &http.Transport{
	DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", own+"/metrics.sock")
	},
	DisableKeepAlives: true,
}}

// scrape reads the daemon's metrics.
func scrape() (map[string]float64, error) {
	res, err := metricsClient.Get(metricsAt)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	all := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			if f, err := strconv.ParseFloat(value, 64); err == nil {
				all[name] = f
			}
		}
	}
	if len(all) == 0 {
		err = errors.New("no metrics")
	}
	return all, errors.Join(err, lines.Err())
}
