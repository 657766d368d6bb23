package main

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// A measure is something that must not grow.
type measure struct {
	name, unit string
	of         func(*sample) float64
	per        float64 // of the unit
	share      float64 // that it may grow by
	more       float64 // units that it may grow by beside
	sum        summary // what counts of some samples
}

// A summary is what counts of the samples of a time.
type summary func(m measure, of []sample) float64

// median is the middle of all.
func median(m measure, of []sample) float64 { return quantile(m.values(of), 0.5) }

// low is what a quarter of the samples is below.
func low(m measure, of []sample) float64 { return quantile(m.values(of), 0.25) }

// least is near the lowest: a backup code takes 19 MiB while it is looked at, and a heap that
// is collected then may be twice as much larger.
func least(m measure, of []sample) float64 { return quantile(m.values(of), 0.05) }

// idle is the median of the five samples with the fewest logins and messages under way, each
// of which has goroutines and descriptors.
func idle(m measure, of []sample) float64 {
	byWork := func(a, b sample) int { return cmp.Compare(a.Underway+a.Pending, b.Underway+b.Pending) }
	sorted := slices.SortedStableFunc(slices.Values(of), byWork)
	return median(m, sorted[:min(5, len(sorted))])
}

const mib = 1 << 20

// ofProcess are measures that a restart sets back. They are compared within the stretches
// that have none: the last sixth of one against its second sixth.
var ofProcess = []measure{
	{"resident memory", "MiB", func(s *sample) float64 { return s.RSS }, mib, 0.10, 16, low},
	{"heap at the next collection", "MiB", func(s *sample) float64 { return s.NextGC }, mib, 0.10, 4, least},
	{"goroutines", "", func(s *sample) float64 { return s.Goroutines }, 1, 0.10, 8, idle},
	{"threads", "", func(s *sample) float64 { return s.Threads }, 1, 0, 4, idle},
	{"open files", "", func(s *sample) float64 { return s.FDs }, 1, 0.10, 8, idle},
}

// atRest are measures of a daemon that nobody asks anything, with nothing on its way: at the
// beginning and at the end.
var atRest = []measure{
	{"goroutines", "", func(s *sample) float64 { return s.Goroutines }, 1, 0, 16, median},
	{"open files", "", func(s *sample) float64 { return s.FDs }, 1, 0, 12, median},
}

// short is a run too short to tell what grows while people log in.
const short = 10 * time.Minute

// ofDisk are measures that stay. They are compared by the medians of the last quarter of
// the run and of its second.
var ofDisk = append(ofFiles[:len(ofFiles):len(ofFiles)],
	measure{"bytes in the store", "MiB", func(s *sample) float64 { return s.StoreBytes }, mib, 0.10, 1, median},
	measure{"state.db", "MiB", func(s *sample) float64 { return s.State }, mib, 0.10, 1, median},
)

// ofFiles are those that a short run tells of: a database takes its room in the first minutes.
var ofFiles = []measure{
	{"files in the store", "", func(s *sample) float64 { return s.StoreFiles }, 1, 0.001, 4, median},
	{"other files", "", func(s *sample) float64 { return s.OtherFiles }, 1, 0, 2, median},
}

// A growth is a measure at two times.
type growth struct {
	measure
	when              string
	samples           int     // of the fewer
	early, late, most float64 // in the unit
}

// grew says whether it did. What was not measured is not known to have stayed.
func (g growth) grew() bool { return g.late > g.most || g.samples == 0 }

// growths compares all measures in the samples of a run that lasted so long.
func growths(all []sample, lasted time.Duration) (found []growth) {
	onDisk := ofFiles
	if lasted >= short {
		found, onDisk = inStretches(all, lasted), ofDisk
	}
	quarter := lasted.Seconds() / 4
	for _, m := range onDisk {
		found = append(found, m.grown("whole run", within(all, quarter, 2*quarter), within(all, 3*quarter, 4*quarter)))
	}
	var rests []sample
	for _, s := range all {
		if s.Rest {
			rests = append(rests, s)
		}
	}
	if len(rests) == 0 && lasted >= short {
		return found // of a build that did not look
	}
	for _, m := range atRest {
		var early, late []sample
		if n := len(rests); n > 1 {
			early, late = rests[:1], rests[n-1:]
		}
		found = append(found, m.grown("at rest", early, late))
	}
	return found
}

// inStretches compares the measures of the process.
func inStretches(all []sample, lasted time.Duration) (found []growth) {
	o := options{lasts: lasted}
	for i, q := range quiet {
		from, to := o.part(q[0]).Seconds(), o.part(q[1]).Seconds()
		sixth := (to - from) / 6
		for _, m := range ofProcess {
			found = append(found, m.grown([]string{"first stretch", "second stretch"}[i], within(all, from+sixth, from+2*sixth), within(all, to-sixth, to)))
		}
	}
	return found
}

// values are those of some samples, in the unit.
func (m measure) values(all []sample) (values []float64) {
	for i := range all {
		values = append(values, m.of(&all[i])/m.per)
	}
	return values
}

// within are the samples between two times, in seconds.
func within(all []sample, from, to float64) []sample {
	first := sort.Search(len(all), func(i int) bool { return all[i].At >= from })
	last := sort.Search(len(all), func(i int) bool { return all[i].At >= to })
	return all[first:last]
}

// grown compares what was measured at two times.
func (m measure) grown(when string, early, late []sample) growth {
	was := m.sum(m, early)
	return growth{m, when, min(len(early), len(late)), was, m.sum(m, late), was*(1+m.share) + m.more}
}
