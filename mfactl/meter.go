package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A meter shows the progress of long work in one line of a terminal, and clears the
// line at the end. On one with TERM=dumb, as screen readers have, it says a line now and
// then, as each change of one is read aloud. Elsewhere it shows nothing. It is used from
// one goroutine.
type meter struct {
	w     io.Writer // nil: nothing is shown
	lines bool      // a line each time, and never the same twice
	what  string
	total int
	done  int
	shown time.Time
}

// newMeter returns a meter on standard error for what, like "reading users".
func newMeter(cmd *cobra.Command, what string, total int) *meter {
	m := &meter{what: what, total: total}
	if f, ok := cmd.ErrOrStderr().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.w, m.lines = f, os.Getenv("TERM") == "dumb"
	}
	if m.lines {
		m.shown = time.Now() // short work needs no word
	} else {
		m.show()
	}
	return m
}

// The shortest times between two changes of the line, and between two lines.
const (
	meterEvery = 50 * time.Millisecond
	lineEvery  = 10 * time.Second
)

// step counts one more.
func (m *meter) step() {
	m.done++
	switch since := time.Since(m.shown); {
	case m.w == nil:
	case m.lines && since >= lineEvery, !m.lines && (since >= meterEvery || m.done == m.total):
		m.show()
	}
}

func (m *meter) show() {
	if m.w == nil {
		return
	}
	m.shown = time.Now()
	form := "\r%s: %d of %d\x1b[K"
	if m.lines {
		form = "%s: %d of %d\n"
	}
	fmt.Fprintf(m.w, form, m.what, m.done, m.total)
}

// end clears the line.
func (m *meter) end() {
	if m.w != nil && !m.lines {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.w = nil
	}
}
