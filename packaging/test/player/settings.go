package main

import (
	"regexp"
	"strings"
)

var (
	tableLine = regexp.MustCompile(`^\[[^\[].*\]$`)
	listLine  = regexp.MustCompile(`^\[\[.*\]\]$`)
	keyOfLine = regexp.MustCompile(`^(\w+) *=`)
)

// A table is a line with a table's name, and the lines below it. That before the first
// name has no name.
type table struct {
	name  string
	lines []string
}

// enter returns a configuration with what a page shows of it, entered as a person would:
// a key in the table of its name, in the place of the key that stands there; a table that
// is not there yet at the end, and so each [[table]], of which there may be many.
func enter(file, shown string) string {
	tables := tablesOf(file)
	for _, t := range tablesOf(shown) {
		at := -1
		for i := range tables {
			if tables[i].name == t.name && !listLine.MatchString(t.name) {
				at = i
			}
		}
		switch {
		case at >= 0:
			tables[at].set(t.lines)
		case t.name != "":
			tables = append(tables, t)
		}
	}
	var b strings.Builder
	for _, t := range tables {
		if t.name != "" {
			b.WriteString(t.name + "\n")
		}
		for _, line := range t.lines {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// tablesOf splits a file at the names of its tables.
func tablesOf(file string) []table {
	all := []table{{}}
	for line := range strings.Lines(file) {
		line = strings.TrimRight(line, "\n")
		if tableLine.MatchString(line) || listLine.MatchString(line) {
			all = append(all, table{name: line})
			continue
		}
		last := &all[len(all)-1]
		last.lines = append(last.lines, line)
	}
	return all
}

// set puts keys into a table: each is one line.
func (t *table) set(lines []string) {
	var added []string
	for _, line := range lines {
		m := keyOfLine.FindStringSubmatch(line)
		if m == nil || !t.replace(m[1], line) {
			added = append(added, line)
		}
	}
	t.lines = append(added, t.lines...)
}

// replace puts a line in the place of the one with that key, if there is one.
func (t *table) replace(key, line string) bool {
	for i, old := range t.lines {
		if m := keyOfLine.FindStringSubmatch(old); m != nil && m[1] == key {
			t.lines[i] = line
			return true
		}
	}
	return false
}
