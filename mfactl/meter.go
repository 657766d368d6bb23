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
// line at the end. Elsewhere it shows nothing. It is used from one goroutine.
type meter struct {
	w     io.Writer // nil: nothing is shown
	what  string
	total int
	done  int
	shown time.Time
}

// newMeter returns a meter on standard error for what, like "reading users".
func newMeter(cmd *cobra.Command, what string, total int) *meter {
	m := &meter{what: what, total: total}
	if f, ok := cmd.ErrOrStderr().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.w = f
	}
	m.show()
	return m
}

// meterEvery is the shortest time between two changes of the line.
const meterEvery = 50 * time.Millisecond

// step counts one more.
func (m *meter) step() {
	m.done++
	if m.w != nil && (time.Since(m.shown) >= meterEvery || m.done == m.total) {
		m.show()
	}
}

func (m *meter) show() {
	if m.w != nil {
		m.shown = time.Now()
		fmt.Fprintf(m.w, "\r%s: %d of %d\x1b[K", m.what, m.done, m.total)
	}
}

// end clears the line.
func (m *meter) end() {
	if m.w != nil {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.w = nil
	}
}
