package main

import (
	"fmt"
	"html"
	"strings"

	"mfa/internal/plot"
)

// Measures of the plot, in pixels.
const (
	plotWidth, plotLabels, plotValues = 860, 350, 90
	barHeight, barGap, titleHeight    = 14, 8, 34
)

// plot draws the rows of the groups that hold times, one bar each, with the spread of the
// rounds. The colours follow the reader's choice of light or dark.
func (r *Results) plot() string {
	var body strings.Builder
	y := 10
	for _, g := range r.Groups {
		rows := map[string][]Row{}
		for _, row := range g.Rows {
			if row.Unit == "µs" || row.Unit == "ms" || row.Unit == "logins/s" {
				rows[row.Unit] = append(rows[row.Unit], row)
			}
		}
		for _, unit := range []string{"µs", "ms", "logins/s"} {
			if len(rows[unit]) > 0 {
				y = bars(&body, y, g.Title+", "+unit, rows[unit])
			}
		}
	}
	return plot.Frame(plotWidth, y+10, "Times of logins, side by side", body.String())
}

// bars draws rows of one unit on one scale, and returns where the next may begin.
func bars(b *strings.Builder, y int, title string, rows []Row) int {
	most := 0.0
	for _, r := range rows {
		most = max(most, r.Median, r.High)
	}
	scale := float64(plotWidth-plotLabels-plotValues) / max(most, 1e-9)
	fmt.Fprintf(b, "<text class=\"title\" x=\"10\" y=\"%d\">%s</text>\n", y+20, html.EscapeString(title))
	y += titleHeight
	for _, r := range rows {
		class := "other"
		switch {
		case strings.Contains(r.Name, "pam_mfa"), strings.Contains(r.Name, "mfad"):
			class = "ours"
		case strings.Contains(r.Name, "google"), strings.Contains(r.Name, "oath"):
			class = "peer"
		}
		middle := y + barHeight/2
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", plotLabels-8, y+barHeight-3, html.EscapeString(r.Name))
		fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, plotLabels, y, r.Median*scale, barHeight)
		if r.High > r.Low {
			fmt.Fprintf(b, "<path class=\"spread\" d=\"M%.1f %dH%.1f\"/>\n", plotLabels+r.Low*scale, middle, plotLabels+r.High*scale)
		}
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", plotLabels+max(r.Median, r.High)*scale+6, y+barHeight-3, figure(r.Median))
		y += barHeight + barGap
	}
	return y
}
