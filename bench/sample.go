package main

import (
	"maps"
	"slices"
	"time"
)

// A sample is what was measured of one thing, by round, in one unit.
type sample [][]float64

// quantile returns the value below which q of the values lie; they need not be sorted.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func (s sample) all() []float64 { return slices.Concat(s...) }

func (s sample) median() float64 { return quantile(s.all(), 0.5) }

// medians returns those of the rounds that have values.
func (s sample) medians() []float64 {
	var m []float64
	for _, round := range s {
		if len(round) > 0 {
			m = append(m, quantile(round, 0.5))
		}
	}
	return m
}

// row sums the sample up.
func (s sample) row(name, unit string) Row {
	all, m := s.all(), s.medians()
	r := Row{Name: name, Unit: unit, N: len(all), Median: quantile(all, 0.5), P90: quantile(all, 0.9), P99: quantile(all, 0.99)}
	if len(m) > 0 {
		r.Low, r.High = slices.Min(m), slices.Max(m)
	}
	return r
}

// over returns the ratio of the medians of two samples: the median of that of each round.
func (s sample) over(base sample) float64 {
	var ratios []float64
	for i := range min(len(s), len(base)) {
		if len(s[i]) > 0 && len(base[i]) > 0 {
			ratios = append(ratios, quantile(s[i], 0.5)/quantile(base[i], 0.5))
		}
	}
	return quantile(ratios, 0.5)
}

// samples are those of a group, by name.
type samples map[string]sample

// add adds a value to a round, counted from 0.
func (s samples) add(name string, round int, v float64) {
	for len(s[name]) <= round {
		s[name] = append(s[name], nil)
	}
	s[name][round] = append(s[name][round], v)
}

func (s samples) names() []string { return slices.Sorted(maps.Keys(s)) }

// micros is a time in microseconds.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
