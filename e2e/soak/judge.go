package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A plan says of a run what was asked for.
type plan struct {
	Seed    uint64
	For     float64 // seconds
	Rate    float64
	Users   int
	Began   time.Time
	Version string
}

// lasted is how long people logged in.
func (p plan) lasted() time.Duration { return time.Duration(p.For * float64(time.Second)) }

// A result is all that is known of a run.
type result struct {
	plan
	samples []sample
	events  map[string][]event // by the first word of what happened
	growths []growth
	*reckoning
}

// read reads what a run left in a folder.
func read(dir string) (*result, error) {
	r := &result{events: map[string][]event{}}
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err == nil {
		err = json.Unmarshal(text, &r.plan)
	}
	if err != nil {
		return nil, fmt.Errorf("read the run: %w", err)
	}
	if err := each(filepath.Join(dir, "samples.jsonl"), func(s sample) {
		since := s.At
		if n := len(r.samples); n > 0 {
			since -= r.samples[n-1].At
		}
		s.rate = float64(s.Total) / max(since, 0.001)
		r.samples = append(r.samples, s)
	}); err != nil {
		return nil, err
	}
	err = each(filepath.Join(dir, "events.jsonl"), func(e event) {
		word, _, _ := strings.Cut(e.What, " ")
		if word == "mfactl" {
			word = e.What
		}
		r.events[word] = append(r.events[word], e)
	})
	if err != nil {
		return nil, err
	}
	r.growths = growths(r.samples, r.lasted())
	r.reckoning, err = reckon(dir, r.Began)
	return r, err
}

// shown is how many faults are shown.
const shown = 30

// judge says what a run showed, and returns an error if anything is not as it must be.
func (o options) judge(dir string, out io.Writer) error {
	r, err := read(dir)
	if err != nil {
		return err
	}
	fmt.Fprint(out, r.tables())
	if o.docs != "" {
		err = errors.Join(
			os.WriteFile(filepath.Join(o.docs, "soak.svg"), []byte(r.plot()), 0o644),
			r.replaceTables(filepath.Join(o.docs, "soak.md")))
	}
	for i, f := range r.faults {
		if i == shown {
			fmt.Fprintf(out, "and %d more\n", len(r.faults)-shown)
			break
		}
		fmt.Fprintln(out, "FAULT", f)
	}
	grew := 0
	for _, g := range r.growths {
		if g.grew() {
			grew++
			fmt.Fprintf(out, "GREW %s, %s: from %.1f to %.1f %s, at most %.1f, of %d samples\n", g.name, g.when, g.early, g.late, g.unit, g.most, g.samples)
		}
	}
	if len(r.faults)+grew > 0 {
		err = errors.Join(err, fmt.Errorf("%d faults, %d measures grew", len(r.faults), grew))
	}
	return err
}
