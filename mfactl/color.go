package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Colors, as parameters of SGR (ECMA-48, 8.3.117).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// colorOn reports whether output to w may have colors: w is a terminal that knows
// them, and NO_COLOR is not set (no-color.org).
func colorOn(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// paint returns text in a color, if on.
func paint(on bool, color, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}
