package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A grid is a table for people: columns as wide as what is in them. On a
// terminal that is too narrow the widest columns are cut, and what was cut ends
// with "~".
type grid struct {
	rows [][]string // the first is the heading
}

const gridGap = "  "

func newGrid(heading ...string) *grid { return &grid{rows: [][]string{heading}} }

func (g *grid) row(cells ...string) { g.rows = append(g.rows, cells) }

func (g *grid) empty() bool { return len(g.rows) == 1 }

// print writes the table to the output of cmd.
func (g *grid) print(cmd *cobra.Command) {
	g.write(cmd.OutOrStdout(), terminalWidth(cmd.OutOrStdout()))
}

// terminalWidth returns the columns of a terminal, 0 for anything else.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// write writes the table, no wider than limit unless that is 0.
func (g *grid) write(w io.Writer, limit int) {
	widths := g.widths(limit)
	for _, row := range g.rows {
		var b strings.Builder
		for i, cell := range row {
			cell = cut(printable(cell), widths[i])
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + gridGap)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// narrowest is how far a column is cut at most.
const narrowest = 6

// widths returns how wide each column is.
func (g *grid) widths(limit int) []int {
	widths := make([]int, len(g.rows[0]))
	for _, row := range g.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if limit == 0 {
		return widths
	}
	sum := len(gridGap) * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	for ; sum > limit; sum-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= narrowest {
			break
		}
		widths[widest]--
	}
	return widths
}

// cut shortens text to width columns.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "~"
}
