package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// A checkedWriter remembers that a write failed, for those who print and do not
// look: what was not written was not done.
type checkedWriter struct {
	w   io.Writer
	err error // the first
}

// Write implements io.Writer.
func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// checked returns what to write to in place of w, and how to ask whether that
// went well. A terminal takes everything, and stays what it is: verbs look at it.
func checked(w io.Writer) (io.Writer, func() error) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return w, func() error { return nil }
	}
	c := &checkedWriter{w: w}
	return c, func() error { return c.err }
}
