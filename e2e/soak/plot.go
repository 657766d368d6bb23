package main

import (
	"fmt"
	"math"
	"strings"

	"mfa/internal/plot"
)

// Measures of the plot, in pixels.
const (
	plotWidth, plotLeft, plotRight = 860, 60, 20
	panelHeight, panelTitle        = 110, 30
)

// A line is one measure in a panel.
type line struct {
	name, class string
	of          func(*sample) float64
}

// A panel is a picture over the time of a run.
type panel struct {
	title string
	log   bool // the scale is logarithmic
	lines []line
}

var panels = []panel{
	{"memory, MiB", false, []line{
		{"resident", "ours", func(s *sample) float64 { return s.RSS / mib }},
		{"heap at the next collection", "peer", func(s *sample) float64 { return s.NextGC / mib }},
	}},
	{"goroutines and open files", false, []line{
		{"goroutines", "ours", func(s *sample) float64 { return s.Goroutines }},
		{"open files", "peer", func(s *sample) float64 { return s.FDs }},
	}},
	{"store, MiB", false, []line{
		{"state.db", "ours", func(s *sample) float64 { return s.State / mib }},
		{"all of it", "peer", func(s *sample) float64 { return s.StoreBytes / mib }},
	}},
	{"from HELLO to the first prompt, ms", true, []line{
		{"median", "ours", func(s *sample) float64 { return s.First[0] / 1000 }},
		{"p99", "peer", func(s *sample) float64 { return s.First[1] / 1000 }},
	}},
	{"from the answer to the verdict, ms", true, []line{
		{"median", "ours", func(s *sample) float64 { return s.Last[0] / 1000 }},
		{"p99", "peer", func(s *sample) float64 { return s.Last[1] / 1000 }},
	}},
	{"logins a second", false, []line{
		{"logins", "ours", func(s *sample) float64 { return s.rate }},
	}},
}

// plot draws all panels, with a mark for each restart.
func (r *result) plot() string {
	var b strings.Builder
	y := 0
	for _, p := range panels {
		y = r.panel(&b, p, y)
	}
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">minutes; a grey mark is a restart</text>\n", plotLeft, y+14)
	return plot.Frame(plotWidth, y+24, "The daemon over the time of the soak", b.String())
}

// panel draws one panel, and returns where the next may begin.
func (r *result) panel(b *strings.Builder, p panel, y int) int {
	low, high := p.bounds(r.samples)
	bottom := y + panelTitle + panelHeight
	place := func(v float64) float64 {
		if p.log {
			v, low, high := math.Log(max(v, low)), math.Log(low), math.Log(high)
			return float64(bottom) - (v-low)/(high-low)*panelHeight
		}
		return float64(bottom) - (v-low)/(high-low)*panelHeight
	}
	across := func(seconds float64) float64 {
		return plotLeft + seconds/max(1, r.lasted().Seconds())*(plotWidth-plotLeft-plotRight)
	}
	fmt.Fprintf(b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", plotLeft, y+20, p.title)
	for i, l := range p.lines {
		x := plotWidth - plotRight - 190*(len(p.lines)-i)
		fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"10\" height=\"10\"/>\n<text x=\"%d\" y=\"%d\">%s</text>\n", l.class, x, y+11, x+15, y+20, l.name)
	}
	for _, what := range []string{"stop", "kill"} {
		for _, e := range r.events[what] {
			fmt.Fprintf(b, "<path class=\"other\" d=\"M%.1f %dv-6\"/>\n", across(e.At), bottom+6)
		}
	}
	fmt.Fprintf(b, "<path class=\"other\" d=\"M%d %dH%d\"/>\n", plotLeft, bottom, plotWidth-plotRight)
	for _, v := range []float64{low, high} {
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">%s</text>\n", plotLeft-6, place(v)+4, figure(v))
	}
	for i := range 5 {
		at := r.lasted().Seconds() * float64(i) / 4
		fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%.3g</text>\n", across(at), bottom+18, at/60)
	}
	for _, l := range p.lines {
		var d strings.Builder
		for i := range r.samples {
			word := "L"
			if i == 0 {
				word = "M"
			}
			fmt.Fprintf(&d, "%s%.1f %.1f", word, across(r.samples[i].At), place(l.of(&r.samples[i])))
		}
		fmt.Fprintf(b, "<path class=\"%s\" d=\"%s\"/>\n", l.class, d.String())
	}
	return bottom + 20
}

// bounds returns what the scale of a panel spans.
func (p panel) bounds(all []sample) (low, high float64) {
	high = 1
	for i := range all {
		for _, l := range p.lines {
			high = max(high, l.of(&all[i]))
		}
	}
	if p.log {
		return 0.5, high
	}
	return 0, high
}

// figure writes a number shortly.
func figure(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
