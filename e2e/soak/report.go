package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Marks of the part of soak.md that is written anew.
const (
	figuresBegin = "<!-- figures: make soak writes them -->\n"
	figuresEnd   = "<!-- end of figures -->\n"
)

// replaceTables writes the tables into a document, between the marks.
func (r *result) replaceTables(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(text, []byte(figuresBegin))
	_, after, ends := bytes.Cut(rest, []byte(figuresEnd))
	if !begins || !ends {
		return fmt.Errorf("%s has no part for figures", name)
	}
	all := slices.Concat(before, []byte(figuresBegin+"\n"+r.tables()+"\n"+figuresEnd), after)
	return os.WriteFile(name, all, 0o644)
}

// tables are all figures in Markdown.
func (r *result) tables() string {
	var b strings.Builder
	last := sample{}
	if n := len(r.samples); n > 0 {
		last = r.samples[n-1]
	}
	fmt.Fprintf(&b, "%v of %s on %s: %d users, %d logins (seed %d), %d mails and %d text messages. %s.\n\n",
		r.lasted(), r.Version, r.Began.UTC().Format("2006-01-02"), r.Users, r.visits, r.Seed, last.Mails, last.Texts, r.happened())
	r.growthTable(&b)
	r.loginTable(&b)
	r.timeTable(&b)
	return b.String()
}

// happened counts what was not a login.
func (r *result) happened() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(r.events)) {
		if what != "fault" {
			parts = append(parts, fmt.Sprintf("%s %d", what, len(r.events[what])))
		}
	}
	return "Beside them: " + strings.Join(parts, ", ")
}

// table writes a table whose columns but the first are numbers.
func table(b *strings.Builder, head []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|---%s|\n", strings.Join(head, " | "), strings.Repeat("|---:", len(head)-1))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
	b.WriteString("\n")
}

func (r *result) growthTable(b *strings.Builder) {
	var rows [][]string
	for _, g := range r.growths {
		verdict := "no"
		if g.grew() {
			verdict = "**yes**"
		}
		name := g.name
		if g.unit != "" {
			name += ", " + g.unit
		}
		rows = append(rows, []string{name + " (" + g.when + ")", fmt.Sprintf("%.1f", g.early), fmt.Sprintf("%.1f", g.late), fmt.Sprintf("%.1f", g.most), verdict})
	}
	table(b, []string{"measure", "early", "late", "may be", "grew"}, rows)
}

func (r *result) loginTable(b *strings.Builder) {
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(r.written)) {
		rows = append(rows, []string{key, fmt.Sprint(r.seen[key]), fmt.Sprint(r.written[key])})
	}
	for _, key := range []string{left, lost, unreached} {
		rows = append(rows, []string{key, fmt.Sprint(r.seen[key]), ""})
	}
	rows = append(rows, []string{"wrong codes", fmt.Sprint(r.wrong), fmt.Sprint(r.counted)})
	table(b, []string{"login ended with", "clients heard", "lines in the audit file"}, rows)
	fmt.Fprintf(b, "Of the logins whose client went away or was cut off, %d have a line. %d were refused or ended after ten seconds or more while the machine was overloaded, and %d verbs of mfactl and samples gave up meanwhile. Faults: %d.\n\n",
		r.unheard, r.waited, r.gaveUp, len(r.faults))
}

// timeTable has the times of each quarter.
func (r *result) timeTable(b *strings.Builder) {
	var rows [][]string
	quarter := r.lasted().Seconds() / 4
	for q := range 4 {
		row := []string{fmt.Sprintf("quarter %d", q+1)}
		for _, of := range []func(*sample) [3]float64{func(s *sample) [3]float64 { return s.First }, func(s *sample) [3]float64 { return s.Last }} {
			for i, at := range []float64{0.5, 0.5, 1} { // the median sample's median and 99th percentile, and the most of all
				m := measure{of: func(s *sample) float64 { return of(s)[i] }, per: 1000}
				row = append(row, fmt.Sprintf("%.1f", quantile(m.values(within(r.samples, quarter*float64(q), quarter*float64(q+1))), at)))
			}
		}
		rows = append(rows, row)
	}
	table(b, []string{"time, ms", "to the prompt, median", "p99", "most", "to the verdict, median", "p99", "most"}, rows)
}
