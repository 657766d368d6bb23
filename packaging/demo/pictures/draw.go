package main

import (
	"fmt"
	"html"
	"strings"
)

// columns is how wide the terminal is, in characters; longer lines go on in the next.
const columns = 80

// Measures of a picture, in pixels.
const (
	cellWidth, cellHeight = 8, 16
	margin                = 16
	baseline              = 13 // of a line of text, from its top
)

// draw returns a screen as SVG.
func draw(screen string) string {
	lines := wrap(screen)
	width, height := 2*margin+columns*cellWidth, 2*margin+len(lines)*cellHeight
	var body strings.Builder
	for i, line := range lines {
		top := margin + i*cellHeight
		if isBlocks(line) {
			drawBlocks(&body, line, top)
			continue
		}
		drawText(&body, line, top)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" xml:space="preserve" role="img" aria-labelledby="title text">
<title id="title">%s</title>
<desc id="text">%s</desc>
<style>text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e6edf3 }</style>
<rect width="%d" height="%d" rx="8" fill="#0d1117"/>
%s</svg>
`, width, height, width, height, html.EscapeString(lines[0]), html.EscapeString(described(lines)), width, height, body.String())
}

// wrap returns the lines of a screen as a terminal of columns shows them.
func wrap(screen string) (lines []string) {
	for line := range strings.Lines(screen) {
		cells := []rune(strings.TrimRight(line, " \n"))
		for len(cells) > columns {
			lines, cells = append(lines, string(cells[:columns])), cells[columns:]
		}
		lines = append(lines, string(cells))
	}
	return lines
}

// described is a screen for somebody to whom it is read: a QR code is named.
func described(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		switch {
		case !isBlocks(line):
			b.WriteString(line + "\n")
		case i == 0 || !isBlocks(lines[i-1]):
			b.WriteString("[a QR code]\n")
		}
	}
	return b.String()
}

// Halves of a cell: which of them a block fills, the upper and the lower one.
var halves = map[rune][2]bool{' ': {}, '▀': {true, false}, '▄': {false, true}, '█': {true, true}}

// isBlocks says whether a line is a part of a drawing of blocks.
func isBlocks(line string) bool {
	blocks := false
	for _, r := range line {
		if _, is := halves[r]; !is {
			return false
		}
		blocks = blocks || r != ' '
	}
	return blocks
}

// drawBlocks draws a line of blocks as rectangles: letters of a font leave gaps, and a
// phone could not scan them.
func drawBlocks(b *strings.Builder, line string, top int) {
	cells := []rune(line)
	const half = cellHeight / 2
	for part := range 2 {
		for from := 0; from < len(cells); from++ {
			if !halves[cells[from]][part] {
				continue
			}
			to := from
			for to < len(cells) && halves[cells[to]][part] {
				to++
			}
			fmt.Fprintf(b, "<path fill=\"#e6edf3\" shape-rendering=\"crispEdges\" d=\"M%d %dh%dv%dh%dz\"/>\n", margin+from*cellWidth, top+part*half,
				(to-from)*cellWidth, half, -(to-from)*cellWidth)
			from = to
		}
	}
}

// drawText draws a line of text, as wide as its cells whatever the font is.
func drawText(b *strings.Builder, line string, top int) {
	indent := len(line) - len(strings.TrimLeft(line, " "))
	text := line[indent:]
	if text == "" {
		return
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" textLength=\"%d\">%s</text>\n", margin+indent*cellWidth, top+baseline,
		len([]rune(text))*cellWidth, html.EscapeString(text))
}
