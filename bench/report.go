package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Results are all that was measured, as results.json keeps them.
type Results struct {
	Machine []string `json:"machine"`
	Groups  []Group  `json:"groups"`
}

// A Group is what was measured together.
type Group struct {
	Name   string   `json:"name"`
	Title  string   `json:"title"`
	Commit string   `json:"commit"`
	Date   string   `json:"date"`
	Took   string   `json:"took"`
	Rows   []Row    `json:"rows"`
	Reach  []Reach  `json:"reach,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

// A Row is what was measured of one thing: the median, the lowest and highest median of a
// round, and what most values are below.
type Row struct {
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Median  float64 `json:"median"`
	Low     float64 `json:"low,omitempty"`
	High    float64 `json:"high,omitempty"`
	P90     float64 `json:"p90,omitempty"`
	P99     float64 `json:"p99,omitempty"`
	N       int     `json:"n"`
	Ratio   float64 `json:"ratio,omitempty"`    // to google-authenticator's of the group, or to what a note says
	OfLimit float64 `json:"of_limit,omitempty"` // to the limit
	Note    string  `json:"note,omitempty"`
}

// A Reach is one line of what is to be reached.
type Reach struct {
	What    string  `json:"what"`
	Goal    string  `json:"goal"`
	Value   float64 `json:"value"`
	Reached bool    `json:"reached"`
}

func (g *Group) note(format string, args ...any) {
	g.Notes = append(g.Notes, fmt.Sprintf(format, args...))
}

// mustNotExceed notes whether a value is at most what it is to be.
func (g *Group) mustNotExceed(what, goal string, value, most float64) {
	g.Reach = append(g.Reach, Reach{what, goal, value, value <= most})
}

// mustReach notes whether a value is at least what it is to be.
func (g *Group) mustReach(what, goal string, value, least float64) {
	g.Reach = append(g.Reach, Reach{what, goal, value, value >= least})
}

// print shows a group in the terminal.
func (g *Group) print(w io.Writer) {
	for _, r := range g.Rows {
		fmt.Fprintf(w, "  %-62s %10s %-8s %6s  %s\n", r.Name, figure(r.Median), r.Unit, times(r.Ratio), r.Note)
	}
	for _, r := range g.Reach {
		fmt.Fprintf(w, "  %-12s %s: %s (%s)\n", r.verdict(), r.What, figure(r.Value), r.Goal)
	}
}

func (r Reach) verdict() string {
	if r.Reached {
		return "reached"
	}
	return "not reached"
}

// figure writes a number with as many digits as are worth something.
func figure(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ×", ratio)
}

const resultsFile = "results.json"

// readResults returns what a folder has, nothing if it has nothing.
func readResults(dir string) (*Results, error) {
	var r Results
	data, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return &r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return &r, err
}

// find returns a group, nil if it was not measured.
func (r *Results) find(name string) *Group {
	for i := range r.Groups {
		if r.Groups[i].Name == name {
			return &r.Groups[i]
		}
	}
	return nil
}

// put takes a group in, in the place of what was measured of it before.
func (r *Results) put(g Group) {
	r.Groups = slices.DeleteFunc(r.Groups, func(old Group) bool { return old.Name == g.Name })
	r.Groups = append(r.Groups, g)
	place := func(name string) int {
		return slices.IndexFunc(groups, func(g measurement) bool { return g.name == name })
	}
	slices.SortFunc(r.Groups, func(a, b Group) int { return place(a.Name) - place(b.Name) })
}

// write writes results.json, the tables and the plot.
func (r *Results) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, resultsFile), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "README.md"), []byte(r.tables()), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.svg"), []byte(r.plot()), 0o644))
}

// tables is README.md.
func (r *Results) tables() string {
	var b strings.Builder
	b.WriteString("# How fast it is\n\nWritten by `make bench`; do not edit. CONTRIBUTING.md says how to measure.\n\n![Times of logins](bench.svg)\n\n## The machine\n\n")
	for _, line := range r.Machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n## What is to be reached\n\n| what | goal | measured | |\n|---|---|---|---|\n")
	for _, g := range r.Groups {
		for _, x := range g.Reach {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", x.What, x.Goal, figure(x.Value), x.verdict())
		}
	}
	for _, g := range r.Groups {
		b.WriteString(g.table())
	}
	return b.String()
}

// table is the part of README.md about one group.
func (g Group) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\nCommit %s, %s; took %s.\n", g.Title, g.Commit, g.Date, g.Took)
	for _, n := range g.Notes {
		fmt.Fprintf(&b, "%s\n", n)
	}
	limit := slices.ContainsFunc(g.Rows, func(r Row) bool { return r.OfLimit != 0 })
	b.WriteString("\n| | median | rounds | p90 | p99 | ratio |")
	if limit {
		b.WriteString(" of the limit |")
	}
	b.WriteString(" n | |\n|---|--:|--:|--:|--:|--:|")
	if limit {
		b.WriteString("--:|")
	}
	b.WriteString("--:|---|\n")
	for _, r := range g.Rows {
		spread, p90, p99 := "", "", ""
		if r.N > 1 && r.High > 0 {
			spread, p90, p99 = figure(r.Low)+"–"+figure(r.High), figure(r.P90), figure(r.P99)
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s | %s | %s |", r.Name, figure(r.Median), r.Unit, spread, p90, p99, times(r.Ratio))
		if limit {
			fmt.Fprintf(&b, " %s |", times(r.OfLimit))
		}
		fmt.Fprintf(&b, " %d | %s |\n", r.N, r.Note)
	}
	return b.String()
}
