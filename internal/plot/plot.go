// Package plot is what the drawings in docs have in common: a frame that shows in light
// and in dark, as its reader chose.
package plot

import (
	"fmt"
	"html"
)

// Frame returns an SVG document of this size in pixels. Body is SVG: its texts are of the
// classes title or none, its marks of ours, peer, other and spread. Label says what is drawn.
func Frame(width, height int, label, body string) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="sans-serif" font-size="12" role="img" aria-label="%[3]s">
<style>
text { fill: #1f2328 } .title { font-weight: bold } .ours { fill: #0969da } .peer { fill: #9a6700 } .other { fill: #8c959f } .spread { stroke: #1f2328 }
path.ours { fill: none; stroke: #0969da } path.peer { fill: none; stroke: #9a6700 } path.other { fill: none; stroke: #8c959f }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ours { fill: #4493f8 } .peer { fill: #d29922 } .other { fill: #6e7681 } .spread { stroke: #e6edf3 }
path.ours { stroke: #4493f8 } path.peer { stroke: #d29922 } path.other { stroke: #6e7681 }
}
</style>
%[4]s</svg>
`, width, height, html.EscapeString(label), body)
}
