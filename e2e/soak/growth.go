package main

import (
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
}

const mib = 1 << 20

// ofProcess are measures that a restart sets back. They are compared within the stretches
// that have none: the last sixth of one against its second sixth, by the lowest quarter of
// the samples, which is what is there when little happens.
var ofProcess = []measure{
	{"resident memory", "MiB", func(s *sample) float64 { return s.RSS }, mib, 0.10, 8},
	{"heap at the next collection", "MiB", func(s *sample) float64 { return s.NextGC }, mib, 0.10, 8},
	{"goroutines", "", func(s *sample) float64 { return s.Goroutines }, 1, 0.10, 8},
	{"threads", "", func(s *sample) float64 { return s.Threads }, 1, 0, 4},
	{"open files", "", func(s *sample) float64 { return s.FDs }, 1, 0.10, 8},
}

// atRest are measures of a daemon that nobody asks anything, with nothing on its way: at the
// beginning and at the end.
var atRest = []measure{
	{"goroutines", "", func(s *sample) float64 { return s.Goroutines }, 1, 0, 16},
	{"open files", "", func(s *sample) float64 { return s.FDs }, 1, 0, 12},
}

// short is a run too short to tell what grows while people log in.
const short = 10 * time.Minute

// ofDisk are measures that stay. They are compared by the medians of the last quarter of
// the run and of its second.
var ofDisk = []measure{
	{"files in the store", "", func(s *sample) float64 { return s.StoreFiles }, 1, 0.001, 4},
	{"other files", "", func(s *sample) float64 { return s.OtherFiles }, 1, 0, 2},
	{"bytes in the store", "MiB", func(s *sample) float64 { return s.StoreBytes }, mib, 0.10, 1},
	{"state.db", "MiB", func(s *sample) float64 { return s.State }, mib, 0.10, 1},
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
	if lasted >= short {
		found = inStretches(all, lasted)
	}
	quarter := lasted.Seconds() / 4
	for _, m := range ofDisk {
		early, late := m.within(all, quarter, 2*quarter), m.within(all, 3*quarter, 4*quarter)
		found = append(found, m.grown("whole run", early, late, 0.5))
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
		var early, late []float64
		if len(rests) > 1 {
			early, late = m.values(rests[:1]), m.values(rests[len(rests)-1:])
		}
		found = append(found, m.grown("at rest", early, late, 0.5))
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
			early, late := m.within(all, from+sixth, from+2*sixth), m.within(all, to-sixth, to)
			found = append(found, m.grown([]string{"first stretch", "second stretch"}[i], early, late, 0.25))
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

// within are the values between two times, in seconds.
func (m measure) within(all []sample, from, to float64) []float64 {
	first := sort.Search(len(all), func(i int) bool { return all[i].At >= from })
	last := sort.Search(len(all), func(i int) bool { return all[i].At >= to })
	return m.values(all[first:last])
}

// grown compares what was measured at two times by a quantile.
func (m measure) grown(when string, early, late []float64, q float64) growth {
	was := quantile(early, q)
	return growth{m, when, min(len(early), len(late)), was, quantile(late, q), was*(1+m.share) + m.more}
}
