package setup

import (
	"bytes"
	"fmt"
	"strings"
)

// around is how many lines are shown before and after a change.
const around = 3

// Diff returns the change as a unified diff, as diff -u writes it.
func (c Change) Diff() string {
	before, after := splitLines(c.Before), splitLines(c.After)
	from, to := c.Path, c.Path
	if c.Before == nil {
		from = "/dev/null"
	}
	if c.After == nil {
		to = "/dev/null"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", from, to)
	// All that setup does is replace one run of lines by another.
	head := commonPrefix(before, after)
	tail := commonSuffix(before[head:], after[head:])
	first := max(0, head-around)
	lastBefore, lastAfter := len(before)-tail, len(after)-tail
	end := min(tail, around)
	fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(first, lastBefore+end), span(first, lastAfter+end))
	write := func(mark byte, lines []string) {
		for _, l := range lines {
			b.WriteByte(mark)
			b.WriteString(strings.TrimSuffix(l, "\n"))
			b.WriteByte('\n')
			if !strings.HasSuffix(l, "\n") {
				b.WriteString("\\ No newline at end of file\n")
			}
		}
	}
	write(' ', before[first:head])
	write('-', before[head:lastBefore])
	write('+', after[head:lastAfter])
	write(' ', before[lastBefore:lastBefore+end])
	return b.String()
}

// span writes a range of lines, given from 0 and without its end.
func span(from, to int) string {
	if to == from {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func splitLines(data []byte) []string {
	var lines []string
	for l := range bytes.Lines(data) {
		lines = append(lines, string(l))
	}
	return lines
}

func commonPrefix(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func commonSuffix(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}
